/**
 * Writes one shard's part of the checkpoint while its owner goes on. Checkpoint thread; also the
 * command-line tools.
 *
 * The story of a crash: entries, checksums, outcomes and last the header go to a temporary name and
 * are flushed; the rename publishes the part, the flush of the folder makes that durable. Before the
 * rename there is no new part (a leftover is removed at the next start), after it there is a whole one.
 * No other part has to be there: each knows from where its own shard must be replayed. Its entries may
 * hold events later than that; replaying those is harmless, because an entry knows its seq.
 *
 * Outcomes: at the replay an event that an entry had absorbed can't be applied again as it was. So each part
 * brings the outcomes of the events since the part that was written before it, of all shards, up to a
 * seq behind everything that its own entries hold (windows.ts has the whole story).
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileHandle, type FileSystem, writeFully } from '../log/file-system.ts';
import type { LogIdentity } from '../log/log-identity.ts';
import { ENTRY_BYTES, type Shard } from '../store/shard.ts';
import { PIECE_ENTRIES, ShardCopier } from '../store/shard-image.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import {
  BLOCK_ENTRIES,
  keyNameOf,
  PART_HEADER_BYTES,
  PART_MODE,
  packPartHeader,
  partFileName,
} from './part-format.ts';
import type { KnownOutcomes } from './windows.ts';

export interface PartOptions {
  readonly files: FileSystem;
  /** Folder of the checkpoints; it exists. */
  readonly folder: string;
  readonly key: HashKey;
  readonly shards: readonly Shard[];
  readonly shard: number;
  /** All events before it are applied. */
  readonly replayFrom: number;
  readonly nowMs: number;
  /** The log whose events the shard holds; `undefined` = it is yet to begin. */
  readonly log: LogIdentity | undefined;
  /** Asked once all entries are copied; of events that are applied. */
  readonly outcomes: () => KnownOutcomes;
  /** What is written between two flushes. */
  readonly flushBytes: () => number;
  /** Called after each piece, with its bytes; paces the work, or throws to give it up. */
  readonly pause: (bytes: number) => void;
}

export interface WrittenPart {
  readonly entries: number;
  readonly bytes: number;
}

/** Writes and publishes one part. Throws what the file system or `pause` throws. */
export function writePart(options: PartOptions): WrittenPart {
  const { files, folder, key, shards, shard, replayFrom } = options;
  const name = partFileName({ keyName: keyNameOf(key), shards: shards.length, shard, replayFrom });
  const temporary = join(folder, `${name}.tmp`);
  let written: WrittenPart;
  try {
    const file = files.create(temporary, PART_MODE);
    try {
      written = writeAll(options, file);
      files.syncData(file);
    } finally {
      files.close(file);
    }
    files.rename(temporary, join(folder, name));
  } catch (error) {
    removeQuietly(files, temporary);
    throw error;
  }
  files.syncFolder(folder);
  return written;
}

function writeAll(options: PartOptions, file: FileHandle): WrittenPart {
  const { files, key, shards, shard: index, replayFrom, nowMs, log, flushBytes, pause } = options;
  const shard = shards[index];
  // Entries that come later, or are not certain yet, are made by events from `replayFrom` on.
  const certain = shard.certainEntries;
  const blocks = new BlockChecksums();
  const copier = new ShardCopier();
  let entries = 0;
  let at = PART_HEADER_BYTES;
  let unflushed = 0;
  for (let from = 0; from < certain; from += PIECE_ENTRIES) {
    const count = copier.copy(shard, from, Math.min(PIECE_ENTRIES, certain - from));
    const bytes = count * ENTRY_BYTES;
    blocks.add(copier.bytes, entries, count);
    entries += count;
    writeFully(files, file, copier.bytes, 0, bytes, at);
    at += bytes;
    unflushed += bytes;
    if (unflushed >= flushBytes()) {
      files.syncData(file);
      unflushed = 0;
    }
    pause(bytes);
  }
  const { firstSeq, bytes: outcomes } = options.outcomes();
  const tail = Buffer.concat([blocks.bytes, outcomes]);
  writeFully(files, file, tail, 0, tail.length, at);
  const header = packPartHeader({
    key,
    shards: shards.length,
    shard: index,
    entries,
    blockEntries: BLOCK_ENTRIES,
    replayFrom,
    lastSeq: copier.lastSeq,
    createdAtMs: nowMs,
    lastTimeMs: copier.lastTimeMs,
    log,
    outcomesFrom: firstSeq,
    outcomesEnd: firstSeq + outcomes.length,
    tailCrc: crc32(tail),
  });
  writeFully(files, file, header, 0, PART_HEADER_BYTES, 0);
  return { entries, bytes: at + tail.length };
}

/** The checksums of blocks, of entries that come in pieces of any length. */
class BlockChecksums {
  readonly #sums: number[] = [];

  get bytes(): Uint8Array {
    return new Uint8Array(Uint32Array.from(this.#sums).buffer);
  }

  /** The next `count` entries, the first of which is the part's entry `first`. */
  add(bytes: Buffer, first: number, count: number): void {
    for (let done = 0; done < count; ) {
      const block = Math.floor((first + done) / BLOCK_ENTRIES);
      const end = Math.min(count, (block + 1) * BLOCK_ENTRIES - first);
      const piece = bytes.subarray(done * ENTRY_BYTES, end * ENTRY_BYTES);
      this.#sums[block] = crc32(piece, this.#sums[block] ?? 0);
      done = end;
    }
  }
}

function removeQuietly(files: FileSystem, path: string): void {
  try {
    files.remove(path);
  } catch {
    // It was never made, or the next start removes it.
  }
}
