/**
 * A message of the replicated stream: how it looks, and the only code that packs and checks one. The same
 * bytes for every instance, so every instance judges them alike. Little-endian. Any thread; pure.
 *
 *   byte   0  magic          "PSCF"
 *          4  format         u16  of messages; a higher one than FORMAT stops who reads it
 *          6  kind           u16  KIND_ below
 *          8  cluster        16 B chosen at random by GENESIS
 *         24  writer         f64  position of the writer's OPEN; 0 in GENESIS and OPEN
 *         32  n              f64  the writer's frames count up from 1; 0 in GENESIS, OPEN and MARK
 *         40  seen           f64  position up to which the writer had taken the stream
 *         48  chain          u32  what it had there (replica-state.ts)
 *         52  codec          u8   of the body: 0 = as it is, 1 = zstd
 *         53  zeros
 *         56  made at        f64  ms since the epoch, by the writer's clock
 *         64  live           u32  slots of its live ring, which come first
 *         68  bulk           u32  slots of its bulk ring, behind those
 *         72  body bytes     u32  uncompressed
 *         76  body CRC-32    u32  of the uncompressed body
 *         80  nonce          16 B of an OPEN, by which the writer knows its own
 *         96  supersedes     f64  of an OPEN: the writer that is void from here on; 0 = none
 *        104  zeros
 *        124  header CRC-32  u32  of bytes 0–123
 *        128  body
 *
 * The body of EVENTS: live + bulk slots as on disk (ring/slot.ts), seq and hash 0, with none of the flags
 * that are for memory. That of GENESIS: JSON (cluster-settings.ts). Others have none.
 * What does not check out is void, never skipped over silently: the same for all, and counted.
 */
import assert from 'node:assert/strict';
import { crc32, constants as zlib, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { SLOT_BYTES } from '../ring/slot.ts';

export const FORMAT = 1;
export const MESSAGE_HEADER_BYTES = 128;
export const CLUSTER_BYTES = 16;
export const NONCE_BYTES = 16;
/** Slots in one message at the most: with the header less than 1 MiB, NATS's limit unless configured. */
export const MESSAGE_SLOTS_MAX = 8128;
const BODY_BYTES_MAX = MESSAGE_SLOTS_MAX * SLOT_BYTES;
/** The least that node:zlib takes. */
const ROOM_LEFT = 64;

export const KIND_GENESIS = 0;
export const KIND_OPEN = 1;
export const KIND_EVENTS = 2;
/** Says where the writer is, and no more. */
export const KIND_MARK = 5;

const MAGIC = Buffer.from('PSCF', 'latin1').readUInt32LE(0);
const CODEC_RAW = 0;
const CODEC_ZSTD = 1;
/** A body below this gains nothing from compression. */
const COMPRESSED_BYTES_MIN = 8 * SLOT_BYTES;
const HEADER_CRC_AT = MESSAGE_HEADER_BYTES - 4;
const ZSTD_OPTIONS = { params: { [zlib.ZSTD_c_compressionLevel]: 1 } };
const NO_NONCE = Buffer.alloc(NONCE_BYTES);

assert.ok(MESSAGE_HEADER_BYTES + BODY_BYTES_MAX < 1 << 20);

export interface MessageHead {
  readonly kind: number;
  /** CLUSTER_BYTES. */
  readonly cluster: Buffer;
  readonly writer: number;
  readonly n: number;
  readonly seen: number;
  readonly chain: number;
  readonly madeAtMs: number;
  readonly live: number;
  readonly bulk: number;
  /** NONCE_BYTES. */
  readonly nonce: Buffer;
  readonly supersedes: number;
}

export interface Message extends MessageHead {
  readonly codec: number;
  readonly bodyBytes: number;
  readonly bodyCrc: number;
  /** As it came, perhaps compressed: a view. */
  readonly packed: Uint8Array;
}

/** The members of a head that most kinds leave alone. */
export const PLAIN_HEAD = {
  writer: 0,
  n: 0,
  seen: 0,
  chain: 0,
  live: 0,
  bulk: 0,
  nonce: NO_NONCE,
  supersedes: 0,
} as const;

export function packMessage(head: MessageHead, body: Uint8Array): Buffer {
  const isPacked = body.length >= COMPRESSED_BYTES_MIN;
  const packed = isPacked ? zstdCompressSync(body, ZSTD_OPTIONS) : body;
  const bytes = Buffer.alloc(MESSAGE_HEADER_BYTES + packed.length);
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt16LE(FORMAT, 4);
  bytes.writeUInt16LE(head.kind, 6);
  head.cluster.copy(bytes, 8, 0, CLUSTER_BYTES);
  bytes.writeDoubleLE(head.writer, 24);
  bytes.writeDoubleLE(head.n, 32);
  bytes.writeDoubleLE(head.seen, 40);
  bytes.writeUInt32LE(head.chain, 48);
  bytes.writeUInt8(isPacked ? CODEC_ZSTD : CODEC_RAW, 52);
  bytes.writeDoubleLE(head.madeAtMs, 56);
  bytes.writeUInt32LE(head.live, 64);
  bytes.writeUInt32LE(head.bulk, 68);
  bytes.writeUInt32LE(body.length, 72);
  bytes.writeUInt32LE(crc32(body), 76);
  head.nonce.copy(bytes, 80, 0, NONCE_BYTES);
  bytes.writeDoubleLE(head.supersedes, 96);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, HEADER_CRC_AT)), HEADER_CRC_AT);
  bytes.set(packed, MESSAGE_HEADER_BYTES);
  return bytes;
}

/** The message, or a sentence that says why it is void. Throws NewerFormatError. */
export function unpackMessage(bytes: Uint8Array): Message | string {
  const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (b.length < MESSAGE_HEADER_BYTES) return `it has ${b.length} bytes`;
  if (b.readUInt32LE(0) !== MAGIC) return 'it is no message of this service (wrong magic)';
  if (crc32(b.subarray(0, HEADER_CRC_AT)) !== b.readUInt32LE(HEADER_CRC_AT)) {
    return 'its header does not match its checksum';
  }
  const format = b.readUInt16LE(4);
  if (format > FORMAT) throw new NewerFormatError(`of format ${format}`);
  return {
    kind: b.readUInt16LE(6),
    cluster: b.subarray(8, 8 + CLUSTER_BYTES),
    writer: b.readDoubleLE(24),
    n: b.readDoubleLE(32),
    seen: b.readDoubleLE(40),
    chain: b.readUInt32LE(48),
    codec: b.readUInt8(52),
    madeAtMs: b.readDoubleLE(56),
    live: b.readUInt32LE(64),
    bulk: b.readUInt32LE(68),
    bodyBytes: b.readUInt32LE(72),
    bodyCrc: b.readUInt32LE(76),
    nonce: b.subarray(80, 80 + NONCE_BYTES),
    supersedes: b.readDoubleLE(96),
    packed: b.subarray(MESSAGE_HEADER_BYTES),
  };
}

/** CRC-32 of a message's header, by which two of one position are told apart; 0 = it has none. */
export function headerCrc(bytes: Uint8Array): number {
  if (bytes.length < MESSAGE_HEADER_BYTES) return 0;
  return Buffer.from(bytes.buffer, bytes.byteOffset).readUInt32LE(HEADER_CRC_AT);
}

/** The body, uncompressed, or a sentence that says why it is none. */
export function bodyOf({ codec, packed, bodyBytes, bodyCrc }: Message): Uint8Array | string {
  if (bodyBytes > BODY_BYTES_MAX) return `its body claims ${bodyBytes} bytes`;
  let body = packed;
  if (codec === CODEC_ZSTD) {
    try {
      // In one piece: with room left over, nothing has to be put together.
      const chunkSize = bodyBytes + ROOM_LEFT;
      body = zstdDecompressSync(packed, { maxOutputLength: BODY_BYTES_MAX, chunkSize });
    } catch {
      return 'its body cannot be uncompressed';
    }
  } else if (codec !== CODEC_RAW) return `its body is packed in way ${codec}`;
  if (body.length !== bodyBytes) return `its body has ${body.length} bytes, not ${bodyBytes}`;
  return crc32(body) === bodyCrc ? body : 'its body does not match its checksum';
}

/** A message that only a newer version understands: nothing behind it may be taken. */
export class NewerFormatError extends Error {
  constructor(what: string) {
    super(`the stream holds a message ${what}, which this program cannot read: take a newer one`);
  }
}
