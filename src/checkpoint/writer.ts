/**
 * Writes one checkpoint while the appliers go on: every entry is read with the readers' seqlock,
 * so nobody waits for it. Runs in the checkpoint thread.
 *
 * The story of a crash: everything is written and flushed under a temporary name; the rename of the
 * folder publishes it; the flush of the folder above makes that durable. Before the rename there is
 * no new checkpoint (a leftover is removed at the next start), after it there is a whole one.
 * Entries may hold events later than `replayFrom`; replaying those is harmless, because an entry
 * knows its seq.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, writeFully } from '../log/file-system.ts';
import { FRAME_HEADER_BYTES, NONCE_BYTES } from '../log/format.ts';
import type { LogIdentity } from '../log/log-identity.ts';
import {
  ENTRY_BYTES,
  ENTRY_ID,
  ENTRY_META,
  ENTRY_STATE_FIRST,
  ENTRY_STATE_WORDS,
  ENTRY_VERSION,
  ENTRY_WORDS,
  type Shard,
} from '../store/shard.ts';
import {
  CHECKPOINT_FORMAT,
  checkpointName,
  filesOf,
  MANIFEST_NAME,
  type Manifest,
  type ManifestFile,
  packManifest,
  shardFileName,
  shardKind,
  temporaryName,
} from './format.ts';
import { type FrameFileOptions, writeFrameFile } from './frame-file.ts';
import { checkCheckpoint, listCheckpoints } from './reader.ts';
import { removeCheckpoint } from './retention.ts';
import { type CheckpointWindows, writeWindows } from './windows.ts';

/** Entries in one frame: what is copied and written between two pauses. */
const FRAME_ENTRIES = 4096;
const READ_TRIES = 1000;
/** Pauses of 1 ms for a writer that died while it held an entry; its successor lets go of it. */
const HELD_PAUSES_MAX = 10_000;

export interface CheckpointOptions {
  readonly files: FileSystem;
  /** Folder of all checkpoints; it exists. */
  readonly folder: string;
  readonly shards: readonly Shard[];
  /** All events before it are applied. */
  readonly replayFrom: number;
  readonly nowMs: number;
  /** The log whose events the shards hold; `undefined` = it is yet to begin. */
  readonly log: LogIdentity | undefined;
  /** What else is known of events; `undefined` = nothing. */
  readonly windows: CheckpointWindows | undefined;
  /** Called after every frame; paces the work, or throws to give it up. */
  readonly pause: () => void;
}

export interface CheckpointResult {
  readonly replayFrom: number;
  readonly entries: number;
  readonly bytes: number;
}

/**
 * Writes and publishes one checkpoint. If there is one of this seq, it serves when it is whole, and
 * is replaced when it is not. Throws what the file system or `pause` throws.
 */
export function writeCheckpoint(options: CheckpointOptions): CheckpointResult {
  const { files, folder, shards, replayFrom, nowMs, log, windows, pause } = options;
  if (listCheckpoints(files, folder).includes(replayFrom)) {
    const found = checkCheckpoint(files, folder, replayFrom);
    if ('manifest' in found) return published(options, found.manifest);
    removeCheckpoint(files, folder, replayFrom);
  }
  const nonce = randomBytes(NONCE_BYTES);
  const temporary = join(folder, temporaryName(replayFrom));
  files.makeFolder(temporary);
  const file = { files, folder: temporary, nonce, nowMs, pause };
  const copier = new EntryCopier();
  const written = shards.map((shard, index) => writeShard(file, copier, shard, index));
  const entries = written.reduce((sum, file) => sum + file.entries, 0);
  const manifest: Manifest = {
    format: CHECKPOINT_FORMAT,
    replayFrom,
    createdAtMs: nowMs,
    nonce: nonce.toString('hex'),
    entries,
    files: written,
    log,
    ...(windows === undefined ? {} : writeWindows(file, windows, replayFrom)),
  };
  writeManifest(options, temporary, manifest);
  files.syncFolder(temporary);
  files.rename(temporary, join(folder, checkpointName(replayFrom)));
  return published(options, manifest);
}

function writeManifest({ files }: CheckpointOptions, folder: string, manifest: Manifest): void {
  const bytes = packManifest(manifest);
  const file = files.create(join(folder, MANIFEST_NAME));
  try {
    writeFully(files, file, bytes, 0, bytes.length, 0);
    files.syncData(file);
  } finally {
    files.close(file);
  }
}

/** Makes the name of a whole checkpoint durable. */
function published({ files, folder }: CheckpointOptions, manifest: Manifest): CheckpointResult {
  files.syncFolder(folder);
  const { replayFrom, entries } = manifest;
  const manifestBytes = packManifest(manifest).length;
  const bytes = filesOf(manifest).reduce((sum, file) => sum + file.bytes, manifestBytes);
  return { replayFrom, entries, bytes };
}

function writeShard(
  file: FrameFileOptions,
  copier: EntryCopier,
  shard: Shard,
  index: number,
): ManifestFile {
  // Entries that come later, or are not certain yet, are made by events from `replayFrom` on.
  const entries = shard.certainEntries();
  return writeFrameFile(file, shardFileName(index), shardKind(index), (append) => {
    for (let from = 0; from < entries; from += FRAME_ENTRIES) {
      const count = Math.min(FRAME_ENTRIES, entries - from);
      copier.copy(shard, from, count);
      append(copier.frame, count);
    }
  });
}

/** Copies entries out of a shard into a frame, each as one committed state. */
class EntryCopier {
  readonly frame: Buffer;
  readonly #words: Int32Array;

  constructor() {
    const memory = new ArrayBuffer(FRAME_HEADER_BYTES + FRAME_ENTRIES * ENTRY_BYTES);
    this.frame = Buffer.from(memory);
    this.#words = new Int32Array(memory, FRAME_HEADER_BYTES);
  }

  copy(shard: Shard, from: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const entry = shard.entriesAt + (from + i) * ENTRY_WORDS;
      const to = i * ENTRY_WORDS;
      this.#words.fill(0, to, to + ENTRY_ID);
      this.#copyState(shard.words, entry, to);
      this.#words[to + ENTRY_META] = shard.words[entry + ENTRY_META] as number;
      for (let w = ENTRY_ID; w < ENTRY_WORDS; w++) {
        this.#words[to + w] = shard.words[entry + w] as number;
      }
    }
  }

  #copyState(words: Int32Array, entry: number, to: number): void {
    for (let pauses = 0; pauses < HELD_PAUSES_MAX; pauses++) {
      for (let tries = 0; tries < READ_TRIES; tries++) {
        // Pairs with the writer's two stores of the version around its stores of the state.
        const before = Atomics.load(words, entry + ENTRY_VERSION);
        if (before & 1) continue;
        for (let i = ENTRY_STATE_FIRST; i < ENTRY_STATE_FIRST + ENTRY_STATE_WORDS; i++) {
          this.#words[to + i] = Atomics.load(words, entry + i);
        }
        if (Atomics.load(words, entry + ENTRY_VERSION) === before) return;
      }
      Atomics.wait(words, entry + ENTRY_VERSION, Atomics.load(words, entry + ENTRY_VERSION), 1);
    }
    throw new Error('an entry of the store is held by a writer that does not let go');
  }
}
