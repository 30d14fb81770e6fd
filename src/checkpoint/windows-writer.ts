/**
 * Writes the windows on the last events (windows.ts) beside the parts of the store, while everything
 * goes on. Checkpoint thread; also the command-line tools.
 *
 * The story of a crash: everything is written and flushed under a temporary name; the rename of the
 * folder publishes it; the flush of the folder above makes that durable. Before the rename there is
 * nothing new (a leftover is removed at the next start), after it there are whole windows.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, writeFully } from '../log/file-system.ts';
import { NONCE_BYTES } from '../log/format.ts';
import type { LogIdentity } from '../log/log-identity.ts';
import {
  CHECKPOINT_FORMAT,
  filesOf,
  MANIFEST_NAME,
  type Manifest,
  packManifest,
  temporaryName,
  windowsName,
} from './format.ts';
import { checkCheckpoint, listWindows } from './reader.ts';
import { removeFolderOf } from './retention.ts';
import { type CheckpointWindows, writeWindows } from './windows.ts';

export interface WindowsOptions {
  readonly files: FileSystem;
  /** Folder of the checkpoints; it exists. */
  readonly folder: string;
  /** All events before it are applied. */
  readonly replayFrom: number;
  readonly nowMs: number;
  /** The log of these events; `undefined` = it is yet to begin. */
  readonly log: LogIdentity | undefined;
  readonly windows: CheckpointWindows;
  /** Called after each frame; paces the work, or throws to give it up. */
  readonly pause: () => void;
}

export interface WrittenWindows {
  readonly bytes: number;
  /** The outcomes of all events before it are written, as far as the window reached. */
  readonly outcomesEnd: number;
}

/**
 * Writes and publishes windows. If there are some of this seq, they serve when they are whole, and are
 * replaced when they are not. Throws what the file system or `pause` throws.
 */
export function writeWindowsPart(options: WindowsOptions): WrittenWindows {
  const { files, folder, replayFrom, nowMs, log, windows, pause } = options;
  const name = windowsName(replayFrom);
  if (listWindows(files, folder).includes(replayFrom)) {
    const found = checkCheckpoint(files, folder, replayFrom, name);
    if ('manifest' in found) return published(options, found.manifest);
    removeFolderOf(files, folder, name);
  }
  const nonce = randomBytes(NONCE_BYTES);
  const temporary = join(folder, temporaryName(name));
  try {
    files.makeFolder(temporary);
    const file = { files, folder: temporary, nonce, nowMs, pause };
    const manifest: Manifest = {
      format: CHECKPOINT_FORMAT,
      replayFrom,
      createdAtMs: nowMs,
      nonce: nonce.toString('hex'),
      entries: 0,
      files: [],
      log,
      ...writeWindows(file, windows, replayFrom),
    };
    writeManifest(options, temporary, manifest);
    files.syncFolder(temporary);
    files.rename(temporary, join(folder, name));
    return published(options, manifest);
  } catch (error) {
    removeQuietly(files, temporary);
    throw error;
  }
}

function writeManifest({ files }: WindowsOptions, folder: string, manifest: Manifest): void {
  const bytes = packManifest(manifest);
  const file = files.create(join(folder, MANIFEST_NAME));
  try {
    writeFully(files, file, bytes, 0, bytes.length, 0);
    files.syncData(file);
  } finally {
    files.close(file);
  }
}

/** Makes the name of whole windows durable. */
function published({ files, folder }: WindowsOptions, manifest: Manifest): WrittenWindows {
  files.syncFolder(folder);
  const manifestBytes = packManifest(manifest).length;
  const bytes = filesOf(manifest).reduce((sum, file) => sum + file.bytes, manifestBytes);
  return { bytes, outcomesEnd: manifest.outcomes?.endSeq ?? 1 };
}

function removeQuietly(files: FileSystem, folder: string): void {
  try {
    files.removeFolder(folder);
  } catch {
    // It was never made, or the next start removes it.
  }
}
