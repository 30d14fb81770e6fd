/**
 * How an instance takes over the data of another one over NATS: its files, as a backup has them, piece by piece.
 * Any thread; pure.
 *
 *   joiner  {} to ps.CLUSTER.GENERATION.join.ID            that instance pins its files for this one session
 *   giver   {isStarting} at once, and every second until   the thread that does it takes a while on a busy machine
 *   giver   {session, files}, or {refusal}
 *   joiner  {file, offset, bytes} to ….join.ID.SESSION     again and again, some at a time, each again if lost
 *   giver   CRC-32 of the rest u32, then the bytes, compressed by zstd
 *   joiner  {} to ….join.ID.SESSION                        done; the giver also ends when nobody asks any more
 *
 * Nothing of it is stored by NATS; a piece fits its largest message, also where it can't be compressed. Files of a
 * data folder become about a sixth, and what goes through NATS is what takes the time.
 */
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

export const PIECE_BYTES_MAX = 512 << 10;
/** Between two words of a giver before its offer. */
export const STARTING_MS = 1000;
/** Nobody asked for so long: the joiner is gone. */
export const SESSION_IDLE_MS = 30_000;
/** Instances that one hands its files to at a time. */
export const SESSIONS_MAX = 2;
const CRC_BYTES = 4;
const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

export interface OfferedFile {
  /** Within the data folder, with `/` between. */
  readonly path: string;
  readonly bytes: number;
}

export interface JoinOffer {
  readonly session: string;
  readonly files: readonly OfferedFile[];
}

export type JoinAnswer = JoinOffer | { readonly refusal: string } | { readonly isStarting: true };

export interface PieceRequest {
  /** Index among the files. */
  readonly file: number;
  readonly offset: number;
  readonly bytes: number;
}

export function packPiece(bytes: Uint8Array): Buffer {
  const compressed = zstdCompressSync(bytes, FAST);
  const packed = Buffer.allocUnsafe(CRC_BYTES + compressed.length);
  packed.writeUInt32LE(crc32(compressed), 0);
  packed.set(compressed, CRC_BYTES);
  return packed;
}

/** The bytes, or nothing where they are not what was sent. */
export function unpackPiece(packed: Uint8Array): Uint8Array | undefined {
  if (packed.length <= CRC_BYTES) return undefined;
  const compressed = packed.subarray(CRC_BYTES);
  const crc = Buffer.from(packed.buffer, packed.byteOffset).readUInt32LE(0);
  if (crc32(compressed) !== crc) return undefined;
  try {
    return zstdDecompressSync(compressed, { maxOutputLength: PIECE_BYTES_MAX });
  } catch {
    return undefined;
  }
}
