/**
 * What may go: parts and windows older than the two newest that are good, whole checkpoints of format 1
 * and parts of another key or number of shards once two rounds are there without them; and segments of
 * the log that all of these cover and LOG_RETENTION does not ask for. Runs after each part, in the
 * checkpoint's thread; the log thread only ever adds segments, at the other end.
 *
 * Until there are two parts of each shard, and two windows, nothing else of checkpoints goes, and no
 * log: what a start needs beside the parts is then in older files, or in the log from its beginning.
 */
import { join } from 'node:path';
import { parseBytes, parseDuration } from '../config/quantity.ts';
import type { KeptLog, LogRetention, Released } from '../log/event-log.ts';
import type { FileSystem } from '../log/file-system.ts';
import type { LogHolds } from '../log/log-holds.ts';
import { checkpointName, removedName, windowsName } from './format.ts';
import { listParts, presentParts } from './part-files.ts';
import { type PartName, partFileName } from './part-format.ts';
import { listCheckpoints, listWindows } from './reader.ts';

/** How many of each are kept: the newest may turn out damaged when it is needed. */
const KEPT = 2;

/** Reads LOG_RETENTION, which the configuration has checked to be one or the other. */
export function parseRetention(text: string): LogRetention {
  const ageMs = parseDuration(text);
  return ageMs === undefined ? { bytes: parseBytes(text) ?? 0 } : { ageMs };
}

/** The parts that the service writes now. */
export type PresentSet = Pick<PartName, 'keyName' | 'shards'>;

export interface RetentionOptions {
  readonly files: FileSystem;
  /** Removes what it may of itself. */
  readonly log: KeptLog;
  readonly checkpointFolder: string;
  readonly set: PresentSet;
  /** How many states of each are kept, if not two: one, when all was written anew because files were lost. */
  readonly kept?: number | undefined;
  readonly retention: LogRetention;
  /** From where on somebody still needs the log. */
  readonly holds?: LogHolds;
  /** Names of what is known to be damaged; it covers nothing. */
  readonly damaged: readonly string[];
  readonly nowMs: number;
  /** Told from which seq on the log may still be replayed, whichever of the kept states a start takes. */
  readonly onCovered?: (seq: number) => void;
  /** Called after each removal, which may hold up the log's flushes: waits, or says no to more. */
  readonly goOn: () => boolean;
}

export interface Removed extends Released {
  /** Parts, windows, and whole checkpoints of format 1. */
  readonly checkpoints: number;
}

/** Removes what may go. Throws what the file system throws; a second call goes on from there. */
export function applyRetention(options: RetentionOptions): Removed {
  const { files, checkpointFolder: folder, goOn } = options;
  const { superseded, covered } = whatIsCovered(options);
  let checkpoints = 0;
  for (const { name, isFolder } of superseded) {
    if (isFolder) removeFolderOf(files, folder, name);
    else {
      files.remove(join(folder, name));
      // Before any log goes: what comes back after a power loss must not miss it.
      files.syncFolder(folder);
    }
    checkpoints++;
    if (!goOn()) return { checkpoints, segments: 0 };
  }
  if (covered === undefined) return { checkpoints, segments: 0 };
  options.onCovered?.(covered);
  const { retention, holds, nowMs } = options;
  return { checkpoints, ...options.log.release(covered, { retention, holds, nowMs, goOn }) };
}

interface Superseded {
  readonly name: string;
  readonly isFolder: boolean;
}

/**
 * What may go of the checkpoints, and the seq before which the log may; `undefined` = none of it may.
 */
function whatIsCovered(options: RetentionOptions): {
  readonly superseded: readonly Superseded[];
  readonly covered: number | undefined;
} {
  const { files, checkpointFolder: folder, set, damaged, kept = KEPT } = options;
  const isGood = ({ name }: Superseded) => !damaged.includes(name);
  const windows = listWindows(files, folder);
  // One series for each shard, and one for the windows, each newest first.
  const series = [
    windows.map((seq) => ({ name: windowsName(seq), isFolder: true, replayFrom: seq })),
    ...presentParts(files, folder, set).map((ofShard) =>
      ofShard.map((part) => ({ name: partFileName(part), isFolder: false, ...part })),
    ),
  ];
  const oldest = series.map((all) => all.filter(isGood)[kept - 1]?.replayFrom);
  const superseded: Superseded[] = series.flatMap((all, i) =>
    all.filter(({ replayFrom }) => replayFrom < (oldest[i] ?? 0)),
  );
  const reach = Math.min(...oldest.map((seq) => seq ?? 0));
  if (reach === 0) return { superseded, covered: undefined };
  const foreign = listParts(files, folder).filter(
    ({ keyName, shards }) => keyName !== set.keyName || shards !== set.shards,
  );
  const whole = listCheckpoints(files, folder);
  return {
    superseded: [
      ...superseded,
      ...foreign.map((part) => ({ name: partFileName(part), isFolder: false })),
      ...whole.map((seq) => ({ name: checkpointName(seq), isFolder: true })),
    ],
    covered: reach,
  };
}

/** Removes one folder of windows or of a whole checkpoint. Throws what the file system throws. */
export function removeFolderOf(files: FileSystem, folder: string, name: string): void {
  const removed = removedName(name);
  // What an earlier try may have left half-removed stands in the way.
  if (files.list(folder).includes(removed)) files.removeFolder(join(folder, removed));
  // Renamed first: half of it must never look like all.
  files.rename(join(folder, name), join(folder, removed));
  files.syncFolder(folder);
  files.removeFolder(join(folder, removed));
}
