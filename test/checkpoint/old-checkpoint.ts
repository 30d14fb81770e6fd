/**
 * Writes whole checkpoints of format 1, as the service did before it wrote parts. They still load, and
 * tests need new ones; old ones are in test/log/fixtures. Tests only.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  CHECKPOINT_FORMAT,
  checkpointName,
  MANIFEST_NAME,
  type Manifest,
  packManifest,
  shardFileName,
  shardKind,
} from '../../src/checkpoint/format.ts';
import { type FrameFileOptions, writeFrameFile } from '../../src/checkpoint/frame-file.ts';
import { type CheckpointWindows, writeWindows } from '../../src/checkpoint/windows.ts';
import { type FileSystem, writeFully } from '../../src/log/file-system.ts';
import { FRAME_HEADER_BYTES, NONCE_BYTES } from '../../src/log/format.ts';
import type { LogIdentity } from '../../src/log/log-identity.ts';
import {
  ENTRY_BYTES,
  ENTRY_HASH,
  ENTRY_WORDS,
  SHARD_USED,
  type Shard,
} from '../../src/store/shard.ts';

/** Entries in one frame. */
const FRAME_ENTRIES = 4096;

export interface OldCheckpoint {
  readonly files: FileSystem;
  /** Folder of all checkpoints; it exists. */
  readonly folder: string;
  readonly shards: readonly Shard[];
  readonly replayFrom: number;
  readonly log?: LogIdentity | undefined;
  readonly windows?: CheckpointWindows | undefined;
}

/** Writes one, over any of this seq. Nobody else may be in the shards. */
export function writeOldCheckpoint(options: OldCheckpoint): void {
  const { files, folder, shards, replayFrom, log, windows } = options;
  const path = join(folder, checkpointName(replayFrom));
  files.makeFolder(path);
  const nonce = randomBytes(NONCE_BYTES);
  const file = { files, folder: path, nonce, nowMs: 1, pause: () => undefined };
  const written = shards.map((shard, index) => writeShard(file, shard, index));
  const manifest: Manifest = {
    format: CHECKPOINT_FORMAT,
    replayFrom,
    createdAtMs: 1,
    nonce: nonce.toString('hex'),
    entries: written.reduce((sum, { entries }) => sum + entries, 0),
    files: written,
    log,
    ...(windows === undefined ? {} : writeWindows(file, windows, replayFrom)),
  };
  const bytes = packManifest(manifest);
  const handle = files.create(join(path, MANIFEST_NAME));
  writeFully(files, handle, bytes, 0, bytes.length, 0);
  files.syncData(handle);
  files.close(handle);
  files.syncFolder(path);
  files.syncFolder(folder);
}

function writeShard(file: FrameFileOptions, shard: Shard, index: number) {
  const entries = shard.words[SHARD_USED];
  const memory = new ArrayBuffer(FRAME_HEADER_BYTES + FRAME_ENTRIES * ENTRY_BYTES);
  const words = new Int32Array(memory, FRAME_HEADER_BYTES);
  return writeFrameFile(file, shardFileName(index), shardKind(index), (append) => {
    for (let from = 0; from < entries; from += FRAME_ENTRIES) {
      const count = Math.min(FRAME_ENTRIES, entries - from);
      const first = shard.entriesAt + from * ENTRY_WORDS;
      words.set(shard.words.subarray(first, first + count * ENTRY_WORDS));
      // Version and hash meant something only to the process that wrote them.
      for (let i = 0; i < count; i++)
        words.fill(0, i * ENTRY_WORDS, i * ENTRY_WORDS + ENTRY_HASH + 1);
      append(Buffer.from(memory), count);
    }
  });
}
