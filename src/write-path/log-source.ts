/** Which log a write path has, as the main thread chooses it. */
import type { DataDir } from '../log/data-dir.ts';
import type { LogHistory } from '../log/event-log.ts';
import { FileHistory } from '../log/file-history.ts';
import type { SegmentEnd } from '../log/format.ts';
import { type HeldFolder, heldPath } from '../log/held-files.ts';
import { unpackSegmentEnds } from '../log/segment-ends.ts';
import type { LogProgress } from '../ring/progress.ts';
import type { LogThreadData } from './log-messages.ts';

export interface LogSource {
  /** Module of the log's thread. */
  readonly entry: URL;
  /** What that thread is given beside the shared memory; survives structured cloning. */
  readonly data: object;
  /** Its history; `progress` says how far the log is. */
  readonly history: (progress: LogProgress) => LogHistory;
  /** The checkpoints that its thread restores first, and that the appliers help it to. */
  readonly restoring?: { readonly checkpoints: string; readonly held: HeldFolder };
  /** Module of a checkpoint's thread, and what it is given besides; none for the file log. */
  readonly checkpoint?: { readonly entry: URL; readonly data: object };
  /** Whether other instances write to it: then it may refuse what was admitted here. */
  readonly isShared?: boolean;
  /** What the places of products in the store are called where all instances have the same. */
  readonly placesName?: string;
  /** A thread that it needs beside its own for as long as it is there; replaced when it dies. */
  readonly companion?: { readonly entry: URL; readonly data: object; readonly name: string };
  /** Its newest segment, where it has files in the data folder that must not go. */
  readonly newestSegment?: (progress: LogProgress) => SegmentEnd | undefined;
}

const FILE_LOG_ENTRY = new URL('../../workers/log.ts', import.meta.url);

/** The log in the files of a data folder. */
export function fileLog(
  { logFolder: folder, checkpointFolder: checkpoints, held }: DataDir,
  segmentBytesMax: number,
  entry = FILE_LOG_ENTRY,
): LogSource {
  const data: Omit<LogThreadData, 'memory'> = { folder, checkpoints, segmentBytesMax, held };
  const history = (progress: LogProgress) =>
    new FileHistory({
      get folder() {
        return heldPath(held, folder);
      },
      progress,
    });
  const newestSegment = (progress: LogProgress) => {
    const known = progress.load();
    return known === undefined ? undefined : unpackSegmentEnds(known.own).segment;
  };
  return { entry, data, history, restoring: { checkpoints, held }, newestSegment };
}
