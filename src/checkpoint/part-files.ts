/**
 * The parts in a checkpoint folder: which there are, and reading one back, checked byte by byte.
 * Writes nothing. Log thread and appliers at start, the checkpoint's thread; also the tools.
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileHandle, type FileSystem, readFully } from '../log/file-system.ts';
import { ENTRY_BYTES } from '../store/shard.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import {
  blocksOf,
  checkPartHeader,
  PART_HEADER_BYTES,
  type PartHeader,
  type PartName,
  parsePartName,
  partFileName,
  tailBytes,
  tailOffset,
  unpackPartHeader,
} from './part-format.ts';
import type { CheckpointFault } from './reader.ts';

/** Where the blocks of a part go, in order. */
export interface BlockTarget {
  /** Memory for the entries `first` to before `first + count`; asked for before they are checked. */
  memory(first: number, count: number): Uint8Array;
  /** They are there, and they are right. */
  accepted(first: number, count: number): void;
}

export interface ReadPart {
  readonly header: PartHeader;
  readonly outcomes: Uint8Array;
}

/** The parts in `folder`, those that start the replay latest first. */
export function listParts(files: FileSystem, folder: string): PartName[] {
  return files
    .list(folder)
    .map(parsePartName)
    .filter((part) => part !== undefined)
    .sort((a, b) => b.replayFrom - a.replayFrom || a.shard - b.shard);
}

/** All parts of one key and one number of shards. */
export interface PartSet {
  readonly keyName: string;
  readonly shards: number;
  /** Those of each shard, the one that starts the replay latest first. */
  readonly byShard: readonly (readonly PartName[])[];
}

/** `parts` as sets, the one with the latest part first. */
export function setsOf(parts: readonly PartName[]): PartSet[] {
  const sets = new Map<string, { keyName: string; shards: number; byShard: PartName[][] }>();
  for (const part of parts) {
    const { keyName, shards, shard } = part;
    const id = `${keyName} ${shards}`;
    let set = sets.get(id);
    if (set === undefined) {
      set = { keyName, shards, byShard: Array.from({ length: shards }, () => []) };
      sets.set(id, set);
    }
    set.byShard[shard]?.push(part);
  }
  return [...sets.values()];
}

/** The parts in `folder` of one key and number of shards, for each shard. */
export function presentParts(
  files: FileSystem,
  folder: string,
  { keyName, shards }: Pick<PartName, 'keyName' | 'shards'>,
): readonly (readonly PartName[])[] {
  const mine = setsOf(listParts(files, folder)).find(
    (set) => set.keyName === keyName && set.shards === shards,
  );
  return mine?.byShard ?? Array.from({ length: shards }, () => []);
}

/** The key of the latest part that has it; `undefined` = there is none. */
export function readHashKey(files: FileSystem, folder: string): HashKey | undefined {
  for (const name of listParts(files, folder)) {
    const header = readHeader(files, folder, name);
    if ('key' in header) return header.key;
  }
  return undefined;
}

/** The header of one part, or what is wrong with it. */
export function readHeader(
  files: FileSystem,
  folder: string,
  name: PartName,
): PartHeader | CheckpointFault {
  return reading(files, folder, name, (part) => part.header);
}

/** What a part knows of outcomes, and its header; or what is wrong with them. */
export function readTail(
  files: FileSystem,
  folder: string,
  name: PartName,
): ReadPart | CheckpointFault {
  return reading(files, folder, name, (part) => {
    const tail = part.tail();
    return 'reason' in tail ? tail : { header: part.header, outcomes: tail.outcomes };
  });
}

/**
 * Reads one part into `target`, block by block, up to the first fault: that is returned, and what was
 * `accepted` before it is right. Throws what the file system and the target throw.
 */
export function readPart(
  files: FileSystem,
  folder: string,
  name: PartName,
  target: BlockTarget,
): ReadPart | CheckpointFault {
  return reading(files, folder, name, (part) => {
    const tail = part.tail();
    if ('reason' in tail) return tail;
    const { header } = part;
    const { entries, blockEntries } = header;
    for (let first = 0, block = 0; first < entries; first += blockEntries, block++) {
      const count = Math.min(blockEntries, entries - first);
      const memory = target.memory(first, count);
      if (!part.block(memory, first) || crc32(memory) !== tail.checksums[block]) {
        return part.fault(
          PART_HEADER_BYTES + first * ENTRY_BYTES,
          'the entries do not match their checksum',
        );
      }
      target.accepted(first, count);
    }
    return { header, outcomes: tail.outcomes };
  });
}

interface Tail {
  readonly checksums: Uint32Array;
  readonly outcomes: Uint8Array;
}

/** A part whose header is good, and whose length is right. */
class OpenPart {
  readonly header: PartHeader;
  readonly #files: FileSystem;
  readonly #file: FileHandle;
  readonly #path: string;

  constructor(files: FileSystem, file: FileHandle, path: string, header: PartHeader) {
    this.#files = files;
    this.#file = file;
    this.#path = path;
    this.header = header;
  }

  fault(offsetBytes: number, reason: string): CheckpointFault {
    return { path: this.#path, offsetBytes, reason };
  }

  /** Whether all of the block is there. */
  block(memory: Uint8Array, first: number): boolean {
    const at = PART_HEADER_BYTES + first * ENTRY_BYTES;
    const { length } = memory;
    return readFully(this.#files, this.#file, memory, 0, length, at) === length;
  }

  tail(): Tail | CheckpointFault {
    const { header } = this;
    const length = tailBytes(header);
    const bytes = Buffer.from(new ArrayBuffer(length));
    const got = readFully(this.#files, this.#file, bytes, 0, length, tailOffset(header));
    if (got !== length || crc32(bytes) !== header.tailCrc) {
      return this.fault(tailOffset(header), 'the checksums do not match their checksum');
    }
    const blocks = blocksOf(header);
    return {
      checksums: new Uint32Array(bytes.buffer, 0, blocks),
      outcomes: bytes.subarray(blocks * 4),
    };
  }
}

function reading<T>(
  files: FileSystem,
  folder: string,
  name: PartName,
  read: (part: OpenPart) => T | CheckpointFault,
): T | CheckpointFault {
  const path = join(folder, partFileName(name));
  const fault = (offsetBytes: number, reason: string) => ({ path, offsetBytes, reason });
  let file: FileHandle;
  try {
    file = files.openForReading(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return fault(0, 'the file is missing');
  }
  try {
    const bytes = Buffer.alloc(PART_HEADER_BYTES);
    const got = readFully(files, file, bytes, 0, PART_HEADER_BYTES, 0);
    const header = unpackPartHeader(bytes.subarray(0, got));
    if (typeof header === 'string') return fault(0, header);
    const wrong = checkPartHeader(header, name);
    if (wrong !== undefined) return fault(0, wrong);
    const size = files.size(file);
    const expected = tailOffset(header) + tailBytes(header);
    if (size !== expected) return fault(size, `${size} bytes, the header says ${expected}`);
    return read(new OpenPart(files, file, path, header));
  } finally {
    files.close(file);
  }
}
