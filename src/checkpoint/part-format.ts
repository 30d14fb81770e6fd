/**
 * One shard of the store on disk, format version 2: a file that is whole and right by itself. The only
 * code that packs and checks its header and its name. Any thread; pure.
 *
 *   checkpoint/part-0b1c2d3e-0016-0003-0000000000001234.ckp      (….tmp while it is written)
 *                   │        │    │    └ seq from which this shard's replay must start
 *                   │        │    └ shard, of so many
 *                   └ name of the hash key
 *
 *   byte     0  header    4096 B
 *         4096  entries   as they lie in the shard (store/shard.ts), 128 B each, with their hashes and
 *                         with version 0
 *            …  checksums u32, the CRC-32 of each block of entries
 *            …  outcomes  a byte for each event from `outcomes from` to before `outcomes end`
 *
 *   header:
 *   byte   0  magic "PSVCPART" ·  8 format version u32
 *         12  CRC-32 u32 of all other bytes of the header: the same in every version to come
 *         16  hash key, 2 × i32 · 24 shards u32 · 28 shard u32 · 32 entries u32
 *         36  entries in a block u32 · 40 replay seq f64 · 48 last seq f64: of all entries
 *         56  written at f64, ms · 64 the log's identity: first seq f64 (0 = none), nonce 16 B
 *         88  outcomes from f64 · 96 outcomes end f64 · 104 CRC-32 of checksums and outcomes, u32
 *        112  last update f64, ms: the latest of all entries · 120 zeros
 *
 * Why the key may lie here: whoever can read it can read every product beside it. It is random for each
 * data folder, and never leaves it.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { NONCE_BYTES, otherVersion } from '../log/format.ts';
import type { LogIdentity } from '../log/log-identity.ts';
import { ENTRY_BYTES } from '../store/shard.ts';
import type { HashKey } from '../threads/shared-memory.ts';

export const PART_FORMAT = 2;
export const PART_HEADER_BYTES = 4096;
/** Entries under one checksum: 1 MB. */
export const BLOCK_ENTRIES = 8192;
/** Nobody but the service's user may read the key. */
export const PART_MODE = 0o600;

const MAGIC = Buffer.from('PSVCPART', 'latin1');
const USED_BYTES = 120;

assert.ok(USED_BYTES <= PART_HEADER_BYTES);

/** Which part a file is, as its name says. */
export interface PartName {
  /** Of the hash key, 8 hexadecimal digits. */
  readonly keyName: string;
  readonly shards: number;
  readonly shard: number;
  /** All events before it are in the part, and perhaps some after it. */
  readonly replayFrom: number;
}

export interface PartHeader {
  readonly key: HashKey;
  readonly shards: number;
  readonly shard: number;
  readonly entries: number;
  readonly blockEntries: number;
  readonly replayFrom: number;
  /** The highest seq that an entry knows; 0 = none. */
  readonly lastSeq: number;
  readonly createdAtMs: number;
  /** The latest commit time that an entry knows; 0 = none. */
  readonly lastTimeMs: number;
  /** The log that it was taken beside; not there in a repaired copy, whose log is yet to begin. */
  readonly log: LogIdentity | undefined;
  /** The outcomes of the events from `outcomesFrom` to before `outcomesEnd`; that one was given by then. */
  readonly outcomesFrom: number;
  readonly outcomesEnd: number;
  /** CRC-32 of what follows the entries. */
  readonly tailCrc: number;
}

/** What a key is called in names: keys differ by it, and it gives nothing of them away. */
export function keyNameOf({ k0, k1 }: HashKey): string {
  const words = Buffer.alloc(8);
  words.writeInt32LE(k0, 0);
  words.writeInt32LE(k1, 4);
  return createHash('sha256').update(words).digest('hex').slice(0, 8);
}

export function partFileName({ keyName, shards, shard, replayFrom }: PartName): string {
  const digits = (n: number, length: number) => String(n).padStart(length, '0');
  return `part-${keyName}-${digits(shards, 4)}-${digits(shard, 4)}-${digits(replayFrom, 16)}.ckp`;
}

/** What the name of a part says, or `undefined` when `name` is none. */
export function parsePartName(name: string): PartName | undefined {
  const found = /^part-([0-9a-f]{8})-(\d{4})-(\d{4})-(\d{16})\.ckp$/.exec(name);
  if (found === null) return undefined;
  const [, keyName = '', ...numbers] = found;
  const [shards = 0, shard = 0, replayFrom = 0] = numbers.map(Number);
  const isPossible = shard < shards && Number.isSafeInteger(replayFrom) && replayFrom >= 1;
  return isPossible ? { keyName, shards, shard, replayFrom } : undefined;
}

/** Whether a file is a part that was never finished. */
export function isTemporaryPart(name: string): boolean {
  return name.endsWith('.tmp') && parsePartName(name.slice(0, -'.tmp'.length)) !== undefined;
}

export function blocksOf({ entries, blockEntries }: PartHeader): number {
  return Math.ceil(entries / blockEntries);
}

/** Where the checksums begin. */
export function tailOffset({ entries }: PartHeader): number {
  return PART_HEADER_BYTES + entries * ENTRY_BYTES;
}

/** Bytes of checksums and outcomes. */
export function tailBytes(header: PartHeader): number {
  return blocksOf(header) * 4 + header.outcomesEnd - header.outcomesFrom;
}

export function packPartHeader(header: PartHeader): Buffer {
  const { key, log } = header;
  const bytes = Buffer.alloc(PART_HEADER_BYTES);
  MAGIC.copy(bytes, 0);
  bytes.writeUInt32LE(PART_FORMAT, 8);
  bytes.writeInt32LE(key.k0, 16);
  bytes.writeInt32LE(key.k1, 20);
  bytes.writeUInt32LE(header.shards, 24);
  bytes.writeUInt32LE(header.shard, 28);
  bytes.writeUInt32LE(header.entries, 32);
  bytes.writeUInt32LE(header.blockEntries, 36);
  bytes.writeDoubleLE(header.replayFrom, 40);
  bytes.writeDoubleLE(header.lastSeq, 48);
  bytes.writeDoubleLE(header.createdAtMs, 56);
  bytes.writeDoubleLE(log?.firstSeq ?? 0, 64);
  if (log !== undefined) Buffer.from(log.nonce, 'hex').copy(bytes, 72);
  bytes.writeDoubleLE(header.outcomesFrom, 88);
  bytes.writeDoubleLE(header.outcomesEnd, 96);
  bytes.writeUInt32LE(header.tailCrc, 104);
  bytes.writeDoubleLE(header.lastTimeMs, 112);
  bytes.writeUInt32LE(headerCrc(bytes), 12);
  return bytes;
}

function headerCrc(bytes: Buffer): number {
  return crc32(bytes.subarray(16, PART_HEADER_BYTES), crc32(bytes.subarray(0, 12)));
}

/** The header in `bytes`, or a sentence that says what is wrong with it. */
export function unpackPartHeader(bytes: Buffer): PartHeader | string {
  if (bytes.length < PART_HEADER_BYTES) return `a header of ${bytes.length} bytes`;
  if (!bytes.subarray(0, 8).equals(MAGIC)) return 'it does not begin as a part of a checkpoint';
  if (headerCrc(bytes) !== bytes.readUInt32LE(12)) return 'the header does not match its checksum';
  const version = bytes.readUInt32LE(8);
  if (version !== PART_FORMAT) return otherVersion(version, PART_FORMAT);
  const firstSeq = bytes.readDoubleLE(64);
  const nonce = bytes.toString('hex', 72, 72 + NONCE_BYTES);
  return {
    key: { k0: bytes.readInt32LE(16), k1: bytes.readInt32LE(20) },
    shards: bytes.readUInt32LE(24),
    shard: bytes.readUInt32LE(28),
    entries: bytes.readUInt32LE(32),
    blockEntries: bytes.readUInt32LE(36),
    replayFrom: bytes.readDoubleLE(40),
    lastSeq: bytes.readDoubleLE(48),
    createdAtMs: bytes.readDoubleLE(56),
    log: firstSeq === 0 ? undefined : { firstSeq, nonce },
    outcomesFrom: bytes.readDoubleLE(88),
    outcomesEnd: bytes.readDoubleLE(96),
    tailCrc: bytes.readUInt32LE(104),
    lastTimeMs: bytes.readDoubleLE(112),
  };
}

/** `undefined` when the header is that of the part with this name, else what is wrong. */
export function checkPartHeader(header: PartHeader, name: PartName): string | undefined {
  const said = { ...header, keyName: keyNameOf(header.key) };
  return partFileName(said) === partFileName(name)
    ? undefined
    : `it is ${partFileName(said)}, by its header`;
}
