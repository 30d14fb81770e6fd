/**
 * The log's files, format version 1: how a segment's header and a frame look on disk, and the only
 * code that packs and checks them. Little-endian. Any thread; pure.
 *
 * A segment: header, then frames end to end, then zeros (preallocated room) or nothing.
 *
 * Segment header, 128 bytes:
 *   byte   0  magic            "PSVCLOG\n"
 *          8  format version   u32
 *         12  CRC-32           u32  of bytes 16–127
 *         16  first seq        f64  of the first frame here; also the file's name
 *         24  nonce            16 B random: frames name the segment they belong to
 *         40  created at       f64  ms since the epoch
 *         48  previous first   f64  first seq of the segment before; 0 = this is the first ever
 *         56  previous end     f64  byte up to which that one counts; what follows there is void
 *         64  previous nonce   16 B of that one
 *         80  previous chain   u32  CRC-32 of the last frame that counts there; 0 = none
 *         84  zeros
 *
 * Frame: header of 64 bytes, then `count` slots of 128 bytes (ring/slot.ts, hash 0).
 *   byte   0  magic            u32  "PSFR"
 *          4  CRC-32           u32  of everything from byte 8 to the end of the last slot
 *          8  first seq        f64  the slots count up from it
 *         16  count            u32  0 = a seal: the log was closed cleanly here
 *         20  chain            u32  CRC-32 of the frame before, across segments; 0 = none
 *         24  commit time      f64  ms since the epoch
 *         32  nonce            16 B of the segment
 *         48  offset           f64  of this frame in the file
 *         56  position         f64  in the replicated stream (src/replication) of the message that the
 *                                   slots came in; 0 in a log that follows none
 * What an older program would take for something else is no new version of the format, which refused
 * logs that don't hold it as well: it is a kind or a flag of the slot that the older one does not know
 * (isMetaValid in ring/slot.ts), so that it refuses the log, with the event's seq.
 *
 * Nonce and offset prove that a frame belongs to this file and this place, the chain that none is
 * missing before it. A frame is written only after the one before it was flushed: a bad frame with
 * a good one behind it is damage, a bad one with nothing good behind it is a torn, unacknowledged
 * tail.
 */
import { crc32 } from 'node:zlib';
import { SLOT_BYTES } from '../ring/slot.ts';

export const FORMAT_VERSION = 1;
export const SEGMENT_HEADER_BYTES = 128;
export const FRAME_HEADER_BYTES = 64;
/** Frames start at multiples of this. */
export const FRAME_ALIGN_BYTES = 64;
export const NONCE_BYTES = 16;

const SEGMENT_MAGIC = Buffer.from('PSVCLOG\n', 'latin1');
const FRAME_MAGIC = Buffer.from('PSFR', 'latin1').readUInt32LE(0);

const OTHER_VERSION = 'it was made by another version of this program: ';

const SEGMENT_SUFFIX = '.seg';
const NAME_DIGITS = 16;

/** What to say of a file in a format that this program does not know; segments and checkpoints. */
export function otherVersion(version: number, read = FORMAT_VERSION): string {
  return `${OTHER_VERSION}format version ${version}, this program reads ${read}`;
}

/** Whether a file is refused for no more than that. */
export function isOtherVersion(reason: string): boolean {
  return reason.startsWith(OTHER_VERSION);
}

/** `0000000000000001.seg` for 1: as many digits as a 53-bit number has, so names sort by number. */
export function segmentName(firstSeq: number): string {
  return String(firstSeq).padStart(NAME_DIGITS, '0') + SEGMENT_SUFFIX;
}

/** The first seq in a segment's name, or `undefined` when `name` is not a segment's. */
export function parseSegmentName(name: string): number | undefined {
  if (!/^\d{16}\.seg$/.test(name)) return undefined;
  const seq = Number(name.slice(0, NAME_DIGITS));
  return Number.isSafeInteger(seq) && seq >= 1 ? seq : undefined;
}

/** Where a segment stops counting, as the next one's header says it. */
export interface SegmentEnd {
  readonly firstSeq: number;
  readonly nonce: Buffer;
  /** Byte behind the last frame that counts. */
  readonly endBytes: number;
  /** CRC-32 of that frame; 0 = none. */
  readonly chain: number;
}

export interface SegmentHeader {
  readonly firstSeq: number;
  readonly nonce: Buffer;
  readonly createdAtMs: number;
  /** `undefined` for the first segment ever. */
  readonly previous: SegmentEnd | undefined;
}

export function packSegmentHeader(header: SegmentHeader): Buffer {
  const bytes = Buffer.alloc(SEGMENT_HEADER_BYTES);
  SEGMENT_MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(FORMAT_VERSION, 8);
  bytes.writeDoubleLE(header.firstSeq, 16);
  header.nonce.copy(bytes, 24);
  bytes.writeDoubleLE(header.createdAtMs, 40);
  if (header.previous !== undefined) {
    bytes.writeDoubleLE(header.previous.firstSeq, 48);
    bytes.writeDoubleLE(header.previous.endBytes, 56);
    header.previous.nonce.copy(bytes, 64);
    bytes.writeUInt32LE(header.previous.chain, 80);
  }
  bytes.writeUInt32LE(crc32(bytes.subarray(16)), 12);
  return bytes;
}

/** The header in `bytes` (SEGMENT_HEADER_BYTES), or a sentence that says what is wrong with it. */
export function unpackSegmentHeader(bytes: Buffer): SegmentHeader | string {
  if (bytes.length < SEGMENT_HEADER_BYTES) return `a header of ${bytes.length} bytes`;
  if (!bytes.subarray(0, 8).equals(SEGMENT_MAGIC)) return 'not a log segment (wrong magic)';
  const version = bytes.readUInt32LE(8);
  if (version !== FORMAT_VERSION) return otherVersion(version);
  if (crc32(bytes.subarray(16, SEGMENT_HEADER_BYTES)) !== bytes.readUInt32LE(12)) {
    return 'the header does not match its checksum';
  }
  const previousFirst = bytes.readDoubleLE(48);
  return {
    firstSeq: bytes.readDoubleLE(16),
    nonce: Buffer.from(bytes.subarray(24, 24 + NONCE_BYTES)),
    createdAtMs: bytes.readDoubleLE(40),
    previous:
      previousFirst === 0
        ? undefined
        : {
            firstSeq: previousFirst,
            endBytes: bytes.readDoubleLE(56),
            nonce: Buffer.from(bytes.subarray(64, 64 + NONCE_BYTES)),
            chain: bytes.readUInt32LE(80),
          },
  };
}

export interface FrameHeader {
  readonly firstSeq: number;
  readonly count: number;
  readonly commitTimeMs: number;
  readonly nonce: Buffer;
  readonly offsetBytes: number;
  /** CRC-32 of the frame before. */
  readonly chain: number;
  /** In the replicated stream; none = 0. */
  readonly position?: number;
}

export function frameBytes(count: number): number {
  return FRAME_HEADER_BYTES + count * SLOT_BYTES;
}

/**
 * Puts the header before the slots, which already stand at `frame[FRAME_HEADER_BYTES…]`.
 * Returns the frame's CRC-32, the next one's chain.
 */
export function sealFrame(frame: Buffer, header: FrameHeader): number {
  frame.writeUInt32LE(FRAME_MAGIC, 0);
  frame.writeDoubleLE(header.firstSeq, 8);
  frame.writeUInt32LE(header.count, 16);
  frame.writeUInt32LE(header.chain, 20);
  frame.writeDoubleLE(header.commitTimeMs, 24);
  header.nonce.copy(frame, 32);
  frame.writeDoubleLE(header.offsetBytes, 48);
  frame.writeDoubleLE(header.position ?? 0, 56);
  const crc = crc32(frame.subarray(8, frameBytes(header.count)));
  frame.writeUInt32LE(crc, 4);
  return crc;
}

/** A frame that proved whole and in its place. */
export interface CheckedFrame {
  readonly firstSeq: number;
  readonly count: number;
  readonly commitTimeMs: number;
  readonly chain: number;
  readonly crc: number;
  readonly bytes: number;
  /** In the replicated stream; 0 = it came from none. */
  readonly position: number;
}

/** How long the frame at `at` of `bytes` says that it is, unchecked; 0 = no frame starts there. */
export function claimedBytes(bytes: Buffer, at: number): number {
  if (at + FRAME_HEADER_BYTES > bytes.length || bytes.readUInt32LE(at) !== FRAME_MAGIC) return 0;
  return frameBytes(bytes.readUInt32LE(at + 16));
}

/**
 * Checks the frame at `at` of `file`, a segment's bytes from offset `base` on. Returns the frame, or a
 * sentence that says what is wrong with it. Its order in the log is the caller's to check (`firstSeq`,
 * `chain`).
 */
export function checkFrame(
  file: Buffer,
  at: number,
  nonce: Buffer,
  base = 0,
): CheckedFrame | string {
  if (at + FRAME_HEADER_BYTES > file.length) return 'the file ends inside a frame header';
  if (file.readUInt32LE(at) !== FRAME_MAGIC) return 'no frame starts here (wrong magic)';
  const count = file.readUInt32LE(at + 16);
  const bytes = frameBytes(count);
  if (at + bytes > file.length) return 'the file ends inside a frame';
  const crc = file.readUInt32LE(at + 4);
  if (crc32(file.subarray(at + 8, at + bytes)) !== crc) {
    return 'the frame does not match its checksum';
  }
  // Byte by byte: a log of single events has as many frames, and a view of each would cost more.
  for (let i = 0; i < NONCE_BYTES; i++) {
    if (file[at + 32 + i] !== nonce[i]) return 'the frame belongs to another segment';
  }
  const offset = file.readDoubleLE(at + 48);
  if (offset !== base + at) return `the frame belongs to offset ${offset}`;
  return {
    firstSeq: file.readDoubleLE(at + 8),
    count,
    commitTimeMs: file.readDoubleLE(at + 24),
    chain: file.readUInt32LE(at + 20),
    crc,
    bytes,
    position: file.readDoubleLE(at + 56),
  };
}
