/**
 * Every file of a data folder that a backup needs, opened within one moment: what retention removes
 * or a checkpoint replaces from then on can still be read through the open file. Main thread of a
 * tool.
 *
 * The order is what makes them fit together while the service runs: checkpoints first, segments
 * after. All events before a checkpoint's seq were in the log when it was published, so they are in
 * segments opened after it; and every event acknowledged before the pinning is in one of the two.
 */
import { join } from 'node:path';
import { checkpointName, windowsName } from '../checkpoint/format.ts';
import { listParts } from '../checkpoint/part-files.ts';
import { partFileName } from '../checkpoint/part-format.ts';
import { listCheckpoints, listWindows } from '../checkpoint/reader.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../log/data-dir.ts';
import type { FileHandle, FileSystem } from '../log/file-system.ts';
import { segmentName } from '../log/format.ts';
import { listSegments } from '../log/segment-headers.ts';
import { GENESIS_FILE } from '../replication/kept-genesis.ts';
import { REPLICA_FILES } from '../replication/replica-file.ts';

export interface PinnedFile {
  readonly name: string;
  readonly file: FileHandle;
}

export interface PinnedFolder {
  /** What an instance of a cluster knows of its stream, none otherwise. */
  readonly replica: readonly PinnedFile[];
  readonly parts: readonly PinnedFile[];
  /** Windows and whole checkpoints: folders. */
  readonly checkpoints: readonly { readonly name: string; readonly files: readonly PinnedFile[] }[];
  /** First seqs and files, oldest first. */
  readonly segments: readonly (PinnedFile & { readonly firstSeq: number })[];
  close(): void;
}

/**
 * Opens them. A file that retention removed between its listing and its opening throws ENOENT, like
 * all that the file system throws; then nothing stays open, and another try is worth it.
 */
export function pinFolder(files: FileSystem, root: string): PinnedFolder {
  const open: FileHandle[] = [];
  const pin = (folder: string, name: string): PinnedFile => {
    const file = files.openForReading(join(folder, name));
    open.push(file);
    return { name, file };
  };
  const close = () => {
    for (const file of open) files.close(file);
  };
  try {
    // Before the segments: a log that is ahead of what is known of the stream is found again by reading
    // the stream, the other way round is not.
    const beside = new Set(files.list(root));
    const replica = [...REPLICA_FILES, GENESIS_FILE]
      .filter((name) => beside.has(name))
      .map((name) => pin(root, name));
    const checkpointFolder = join(root, CHECKPOINT_FOLDER);
    const names = [
      ...listWindows(files, checkpointFolder).map(windowsName),
      ...listCheckpoints(files, checkpointFolder).map(checkpointName),
    ];
    const checkpoints = names.map((name) => {
      const folder = join(checkpointFolder, name);
      return { name, files: files.list(folder).map((file) => pin(folder, file)) };
    });
    const parts = listParts(files, checkpointFolder).map((part) =>
      pin(checkpointFolder, partFileName(part)),
    );
    const logFolder = join(root, LOG_FOLDER);
    const segments = listSegments(files, logFolder).map((firstSeq) => ({
      firstSeq,
      ...pin(logFolder, segmentName(firstSeq)),
    }));
    return { replica, parts, checkpoints, segments, close };
  } catch (error) {
    close();
    throw error;
  }
}
