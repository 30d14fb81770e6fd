/**
 * `backup`: copies a data folder, also while its service runs, and gives the copy its name only once
 * it proved whole. Holds nothing up: no lock, no pause. Main thread of a tool.
 *
 * Why the copy has everything that was acknowledged before it began:
 *  0. History and dead letters, which know of nothing that the log of the copy doesn't have, are copied first.
 *  1. All files are opened within one moment, checkpoints before segments (pinned-folder.ts).
 *  2. All segments but the last are never written again; what lies behind their end counts for
 *     nothing, as the next one's header says.
 *  3. The last one is being appended to. It is copied up to its first frame that is not whole:
 *     whatever was acknowledged before was flushed, so it was whole before the copy read it.
 *     A frame can look missing before a whole one, when reading passed its place before it was
 *     written; then the segment is read again, and now it is there, or it is damaged.
 *  4. The file `newest` is written anew, for the segments that the copy has.
 *  5. The copy is flushed, verified byte by byte, and renamed.
 */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { PART_MODE } from '../checkpoint/part-format.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../log/data-dir.ts';
import {
  type FileHandle,
  type FileSystem,
  NodeFileSystem,
  readFully,
  writeFully,
} from '../log/file-system.ts';
import { writeNewest } from '../log/newest-file.ts';
import { cutTail } from './cut-tail.ts';
import { copyDatabase, DATABASES } from './database-copy.ts';
import { PartialFolder } from './partial-folder.ts';
import { type PinnedFolder, pinFolder } from './pinned-folder.ts';
import { ReadOnlyFiles } from './read-only-files.ts';
import { type Verification, verify } from './verify.ts';

/**
 * Tries, when retention removes files between two of the opening calls: under load a part goes every
 * few hundred milliseconds, and the calls take some.
 */
const TRIES_MAX = 20;
const COPY_BYTES = 1 << 20;

/** No copy that proves whole could be made. One line. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
}

/**
 * Copies the data folder `root` to the new folder `to`; returns what the copy holds. Tests put a
 * disk of their own before `source`. Throws BackupError, and what the file system throws; then there
 * is no `to`.
 */
export function backup(
  root: string,
  to: string,
  source: FileSystem = new ReadOnlyFiles(),
): Verification {
  if (existsSync(to)) throw new BackupError(`${to} exists; --to names a folder that does not`);
  const partial = new PartialFolder(to);
  try {
    const copy = copyWhole(source, root, partial);
    partial.publish();
    return { ...copy, root: to };
  } catch (error) {
    partial.discard();
    throw error;
  }
}

function copyWhole(source: FileSystem, root: string, partial: PartialFolder): Verification {
  const to = partial.data;
  let reason = '';
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    partial.empty();
    copyDatabases(root, to);
    const pinned = pinIfStill(source, root);
    if (pinned === undefined) continue;
    try {
      copyPinned(source, pinned, to);
    } finally {
      pinned.close();
    }
    const copy = verify(new ReadOnlyFiles(), to);
    const fault = copy.faults[0];
    if (fault === undefined && copy.refusal === undefined) return copy;
    const before = reason;
    reason = copy.refusal ?? `${fault?.path} at byte ${fault?.offsetBytes}: ${fault?.reason}`;
    // What comes twice is no accident of copying.
    if (reason === before) break;
  }
  throw new BackupError(
    reason === ''
      ? `the files of ${root} changed ${TRIES_MAX} times while they were opened`
      : `the copy is not whole, so there is none: ${reason.replaceAll(to, root)}; see verify`,
  );
}

function copyDatabases(root: string, to: string): void {
  for (const name of DATABASES) {
    try {
      copyDatabase(root, to, name, new NodeFileSystem());
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      throw new BackupError(
        `${name} can't be copied (${text}); with it moved away there is a copy without it`,
      );
    }
  }
}

function pinIfStill(source: FileSystem, root: string): PinnedFolder | undefined {
  try {
    return pinFolder(source, root);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function copyPinned(source: FileSystem, pinned: PinnedFolder, to: string): void {
  const { replica, parts, checkpoints, segments } = pinned;
  const files = new NodeFileSystem();
  const copyFile = (from: FileHandle, path: string, mode?: number) =>
    copyOpenFile(source, from, files, path, mode);
  const checkpointFolder = join(to, CHECKPOINT_FOLDER);
  const logFolder = join(to, LOG_FOLDER);
  files.makeFolder(checkpointFolder);
  files.makeFolder(logFolder);
  for (const { name, file } of replica) copyFile(file, join(to, name));
  for (const { name, file } of parts) copyFile(file, join(checkpointFolder, name), PART_MODE);
  for (const checkpoint of checkpoints) {
    const folder = join(checkpointFolder, checkpoint.name);
    mkdirSync(folder);
    for (const { name, file } of checkpoint.files) copyFile(file, join(folder, name));
    files.syncFolder(folder);
  }
  for (const { name, file } of segments) copyFile(file, join(logFolder, name));
  const last = segments.at(-1);
  if (last !== undefined) {
    const isCut = cutTail(files, logFolder, last.firstSeq);
    if (!isCut) {
      copyFile(last.file, join(logFolder, last.name));
      cutTail(files, logFolder, last.firstSeq);
    }
    writeNewest(files, logFolder, last.firstSeq);
  }
  for (const folder of [logFolder, checkpointFolder, to]) files.syncFolder(folder);
}

/** Copies what the open file has from its beginning, and flushes the copy. */
function copyOpenFile(
  source: FileSystem,
  from: FileHandle,
  files: NodeFileSystem,
  path: string,
  mode?: number,
): void {
  const buffer = Buffer.alloc(COPY_BYTES);
  const file = files.create(path, mode);
  try {
    for (let at = 0; ; at += COPY_BYTES) {
      const got = readFully(source, from, buffer, 0, COPY_BYTES, at);
      writeFully(files, file, buffer, 0, got, at);
      if (got < COPY_BYTES) break;
    }
    files.syncData(file);
  } finally {
    files.close(file);
  }
}
