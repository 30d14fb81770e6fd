/**
 * What a checkpoint holds beside the products (part-format.ts has those): a folder named by the seq from
 * which replay must start. And a whole checkpoint of format version 1, which had the products too and is
 * only read any more. The only code that packs and checks their files. Any thread; pure.
 *
 *   checkpoint/windows-0000000000001234/   (….tmp while it is written, ….old while it is removed)
 *   checkpoint/0000000000001234/           the same with products
 *     shard-0000.ckp …             one file for each shard of the process that wrote it; format 1
 *     dedupe.ckp                   keys of events before the replay seq (dedupe/dedupe-window.ts)
 *     receipts.ckp                 receipts of batches (dedupe/receipt-window.ts)
 *     outcomes.ckp                 what became of the last events (outcome/outcome-window.ts)
 *     manifest.json                written last; says what all the others must be
 *
 * A file: a header of 128 bytes, then frames as in the log (log/format.ts: checksum, nonce, offset
 * and chain prove each one), numbered by the slots before them.
 *   byte   0  magic           "PSVCCKP\n"
 *          8  format version  u32
 *         12  CRC-32          u32  of bytes 16–127
 *         16  nonce           16 B of the checkpoint
 *         32  shard           u32
 *         36  content         u32  what the "slots" of 128 bytes are:
 *               0  store entries (store/shard.ts) with version and hash 0, because both mean
 *                  something only to the process that wrote them
 *               1  entries of the dedupe window, 24 bytes each, oldest first; each frame ends in
 *                  zeros, and seq 0 is no entry
 *               2  outcomes, a byte each, seqs rising; the last slot ends in zeros
 *               3  receipts (dedupe/batch-receipt.ts), those of the oldest keys first
 *         40  zeros
 *
 * The manifest: one line of JSON, then a line with the CRC-32 of that line in hexadecimal. The first
 * program that wrote format 1 knew neither the two windows nor `log`: without them the keys and
 * outcomes before the replay seq are not known, and whose log it is is not written there. Later ones had no
 * receipts: without a file of them there are none before the replay seq.
 */
import { crc32 } from 'node:zlib';
import { FORMAT_VERSION, NONCE_BYTES, otherVersion } from '../log/format.ts';
import type { LogIdentity } from '../log/log-identity.ts';

export const CHECKPOINT_FORMAT = FORMAT_VERSION;
export const CHECKPOINT_HEADER_BYTES = 128;
export const MANIFEST_NAME = 'manifest.json';

const MAGIC = Buffer.from('PSVCCKP\n', 'latin1');
const NAME_DIGITS = 16;
const WINDOWS_PREFIX = 'windows-';
const TEMPORARY_SUFFIX = '.tmp';
const REMOVED_SUFFIX = '.old';

/** `0000000000001234` for 1234: a whole checkpoint of format 1. */
export function checkpointName(replayFrom: number): string {
  return String(replayFrom).padStart(NAME_DIGITS, '0');
}

/** The seq in a checkpoint's name, or `undefined` when `name` is not a checkpoint's. */
export function parseCheckpointName(name: string): number | undefined {
  if (!/^\d{16}$/.test(name)) return undefined;
  const seq = Number(name);
  return Number.isSafeInteger(seq) && seq >= 1 ? seq : undefined;
}

/** `windows-0000000000001234` for 1234. */
export function windowsName(replayFrom: number): string {
  return WINDOWS_PREFIX + checkpointName(replayFrom);
}

/** The same for windows. */
export function parseWindowsName(name: string): number | undefined {
  const rest = name.startsWith(WINDOWS_PREFIX) ? name.slice(WINDOWS_PREFIX.length) : '';
  return parseCheckpointName(rest);
}

/** What the folder `name` is called while it is written. */
export function temporaryName(name: string): string {
  return name + TEMPORARY_SUFFIX;
}

/** What the folder `name` is called while it is removed. */
export function removedName(name: string): string {
  return name + REMOVED_SUFFIX;
}

/** Whether a folder is one of these that was never finished, or that was being removed. */
export function isTemporaryCheckpoint(name: string): boolean {
  return /^(windows-)?\d{16}\.(tmp|old)$/.test(name);
}

export function shardFileName(shard: number): string {
  return `shard-${String(shard).padStart(4, '0')}.ckp`;
}

/** Whose header a file has. */
export interface FileKind {
  readonly content: number;
  /** 0 for a window. */
  readonly shard: number;
}

export const DEDUPE_FILE_NAME = 'dedupe.ckp';
export const DEDUPE_KIND: FileKind = Object.freeze({ content: 1, shard: 0 });
export const OUTCOMES_FILE_NAME = 'outcomes.ckp';
export const OUTCOMES_KIND: FileKind = Object.freeze({ content: 2, shard: 0 });

export const RECEIPTS_FILE_NAME = 'receipts.ckp';
export const RECEIPTS_KIND: FileKind = Object.freeze({ content: 3, shard: 0 });

export function shardKind(shard: number): FileKind {
  return { content: 0, shard };
}

export function packFileHeader(nonce: Buffer, { content, shard }: FileKind): Buffer {
  const bytes = Buffer.alloc(CHECKPOINT_HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(CHECKPOINT_FORMAT, 8);
  nonce.copy(bytes, 16);
  bytes.writeUInt32LE(shard, 16 + NONCE_BYTES);
  bytes.writeUInt32LE(content, 16 + NONCE_BYTES + 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(16)), 12);
  return bytes;
}

/** `undefined` when `bytes` is the header of that file, else what is wrong with it. */
export function checkFileHeader(bytes: Buffer, nonce: Buffer, kind: FileKind): string | undefined {
  if (bytes.length < CHECKPOINT_HEADER_BYTES) return `a header of ${bytes.length} bytes`;
  const header = bytes.subarray(0, CHECKPOINT_HEADER_BYTES);
  if (header.equals(packFileHeader(nonce, kind))) return undefined;
  return 'the header is not that of this checkpoint and file';
}

/** One file, as the manifest vouches for it. */
export interface ManifestFile {
  readonly name: string;
  /** Slots in its frames; of a shard, its entries. */
  readonly entries: number;
  readonly bytes: number;
  /** CRC-32 of the last frame, which the frames before lead to; 0 = no frames. */
  readonly chain: number;
}

/** The outcomes of the events from `firstSeq` to before `endSeq`; that one was given by then. */
export interface OutcomesFile extends ManifestFile {
  readonly firstSeq: number;
  readonly endSeq: number;
}

export interface Manifest {
  readonly format: typeof CHECKPOINT_FORMAT;
  /** All events before this seq are in the checkpoint, and perhaps some after it. */
  readonly replayFrom: number;
  readonly createdAtMs: number;
  /** 16 bytes in hexadecimal. */
  readonly nonce: string;
  readonly entries: number;
  /** The shards. */
  readonly files: readonly ManifestFile[];
  /** The log that it was taken beside; not there in a repaired copy, whose log is yet to begin. */
  readonly log?: LogIdentity | undefined;
  readonly dedupe?: ManifestFile | undefined;
  readonly receipts?: ManifestFile | undefined;
  readonly outcomes?: OutcomesFile | undefined;
}

/** All files that the manifest vouches for, and what is in them. */
export function filesOf(manifest: Manifest): (ManifestFile & { readonly kind: FileKind })[] {
  const { files, dedupe, receipts, outcomes } = manifest;
  return [
    ...files.map((file, shard) => ({ ...file, kind: shardKind(shard) })),
    ...(dedupe === undefined ? [] : [{ ...dedupe, kind: DEDUPE_KIND }]),
    ...(receipts === undefined ? [] : [{ ...receipts, kind: RECEIPTS_KIND }]),
    ...(outcomes === undefined ? [] : [{ ...outcomes, kind: OUTCOMES_KIND }]),
  ];
}

export function packManifest(manifest: Manifest): Buffer {
  const line = JSON.stringify(manifest);
  return Buffer.from(`${line}\n${crc32(line).toString(16).padStart(8, '0')}\n`);
}

/** The manifest in `bytes`, or a sentence that says what is wrong with it. */
export function unpackManifest(bytes: Buffer): Manifest | string {
  const [line, crc, rest, ...more] = bytes.toString('utf8').split('\n');
  if (line === undefined || crc === undefined || rest !== '' || more.length > 0) {
    return 'it is not two lines';
  }
  if (crc32(line).toString(16).padStart(8, '0') !== crc) return 'it does not match its checksum';
  const manifest = JSON.parse(line) as Manifest;
  // The checksum vouches for everything else; only another version may look different.
  return manifest.format === CHECKPOINT_FORMAT ? manifest : otherVersion(manifest.format);
}
