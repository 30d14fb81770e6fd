/**
 * One look at a whole data folder: the log, every checkpoint, and whether they fit together.
 * Reads only; on a folder whose service runs, what moves meanwhile may look like damage (verify.ts
 * sorts that out).
 */
import { join } from 'node:path';
import {
  isTemporaryCheckpoint,
  parseCheckpointName,
  parseWindowsName,
} from '../checkpoint/format.ts';
import { listParts } from '../checkpoint/part-files.ts';
import { isTemporaryPart, parsePartName } from '../checkpoint/part-format.ts';
import { listCheckpoints, listWindows } from '../checkpoint/reader.ts';
import { HISTORY_FILE } from '../history/sqlite/history-schema.ts';
import { CHECKPOINT_FOLDER, HOLDER_NAME, LOG_FOLDER, SINKS_FOLDER } from '../log/data-dir.ts';
import type { FileSystem } from '../log/file-system.ts';
import { LOCK_NAME } from '../log/folder-lock.ts';
import { segmentName } from '../log/format.ts';
import { identityAt } from '../log/log-identity.ts';
import { TEMPORARY_ENDING } from '../log/replaced-file.ts';
import { ASIDE_START, JOINING_FOLDER, NEXT_FILE } from '../replication/folder-names.ts';
import { GENESIS_FILE } from '../replication/kept-genesis.ts';
import { REPLICA_FILES } from '../replication/replica-file.ts';
import { DATABASE_ENDINGS } from '../sqlite/database.ts';
import { basesOf } from './checkpoint-base.ts';
import { type CheckpointScan, scanCheckpoint, scanWindows } from './checkpoint-scan.ts';
import type { Fault } from './loaded-file.ts';
import { type LogScan, scanLog } from './log-scan.ts';
import { scanPart } from './part-scan.ts';

/** Where the repaired copy's report lies. */
export const REPAIR_REPORT_NAME = 'repair-report.json';

/** In the data folder, and replaced there as a whole. */
const REPLACED: readonly string[] = [...REPLICA_FILES, GENESIS_FILE, NEXT_FILE];
/** What has a place in the data folder; the history comes to it. */
const KNOWN: readonly string[] = [
  ...REPLACED,
  LOG_FOLDER,
  CHECKPOINT_FOLDER,
  SINKS_FOLDER,
  JOINING_FOLDER,
  LOCK_NAME,
  HOLDER_NAME,
  REPAIR_REPORT_NAME,
];

export interface Inspection {
  readonly root: string;
  readonly log: LogScan;
  /** Parts, windows and whole checkpoints, newest first. */
  readonly checkpoints: readonly CheckpointScan[];
  /** Everything that is not as it must be; a torn tail is not among it. */
  readonly faults: readonly Fault[];
  /** Paths of what a crash left half-made: harmless, removed at a start or written over. */
  readonly leftovers: readonly string[];
  /** Paths of what the folder held before it took over another instance's data: harmless, nothing reads it. */
  readonly aside: readonly string[];
  /** Paths of what no service wrote: harmless, nothing reads it. */
  readonly unknown: readonly string[];
}

/** Whether the folder is a data folder at all. */
export function isDataFolder(files: FileSystem, root: string): boolean {
  const names = files.list(root);
  return names.includes(LOG_FOLDER) || names.includes(CHECKPOINT_FOLDER);
}

export function inspect(files: FileSystem, root: string): Inspection {
  const folder = join(root, CHECKPOINT_FOLDER);
  // Checkpoints first: one that is listed now is covered by the log as it is read later.
  const names = files.list(folder);
  const checkpoints = [
    ...listCheckpoints(files, folder).map((seq) => scanCheckpoint(files, folder, seq)),
    ...listWindows(files, folder).map((seq) => scanWindows(files, folder, seq)),
    ...listParts(files, folder).flatMap((part) => scanPart(files, folder, part) ?? []),
  ].sort((a, b) => b.replayFrom - a.replayFrom);
  const log = scanLog(files, join(root, LOG_FOLDER));
  const inRoot = files.list(root);
  const inFolder = (path: string, list: readonly string[]) => list.map((name) => join(path, name));
  return {
    root,
    log,
    checkpoints,
    faults: [
      ...log.faults,
      ...checkpoints.flatMap((checkpoint) => checkpoint.faults),
      ...reachFaults(log, checkpoints),
      ...identityFaults(log, checkpoints),
    ],
    leftovers: [
      ...inFolder(root, inRoot.filter(isTemporaryInRoot)),
      ...inFolder(log.folder, log.leftovers),
      ...inFolder(folder, names.filter(isLeftover)),
    ],
    aside: inFolder(root, inRoot.filter(isAside)),
    unknown: [
      ...inFolder(root, inRoot.filter(isUnknown)),
      ...inFolder(log.folder, log.unknown),
      ...inFolder(
        folder,
        names.filter((name) => !isLeftover(name) && !isCheckpointName(name)),
      ),
      ...checkpoints.flatMap(({ path, unknown }) => inFolder(path, unknown)),
    ],
  };
}

function isLeftover(name: string): boolean {
  return isTemporaryCheckpoint(name) || isTemporaryPart(name);
}

function isCheckpointName(name: string): boolean {
  return [parseCheckpointName, parseWindowsName, parsePartName].some(
    (parse) => parse(name) !== undefined,
  );
}

function isTemporaryInRoot(name: string): boolean {
  return (
    name.endsWith(TEMPORARY_ENDING) && REPLACED.includes(name.slice(0, -TEMPORARY_ENDING.length))
  );
}

function isAside(name: string): boolean {
  return name.startsWith(ASIDE_START);
}

function isUnknown(name: string): boolean {
  const isKnown = KNOWN.includes(name) || isAside(name) || isTemporaryInRoot(name);
  return !isKnown && !DATABASE_ENDINGS.some((ending) => name === HISTORY_FILE + ending);
}

/** The log must reach back to where each checkpoint's replay starts, and at least as far as it. */
function reachFaults(log: LogScan, checkpoints: readonly CheckpointScan[]): Fault[] {
  const first = log.segments[0]?.firstSeq;
  const last = log.segments.at(-1);
  const faults: Fault[] = [];
  const fault = (path: string, offsetBytes: number, reason: string) =>
    faults.push({ path, offsetBytes, lengthBytes: 0, reason });
  if (basesOf(checkpoints).length === 0 && first !== undefined && first > 1) {
    fault(
      log.folder,
      0,
      `the log starts with seq ${first}, and no checkpoint covers what was before`,
    );
  }
  for (const { path, replayFrom, lastSeq } of checkpoints) {
    const needs = `of the log, which the checkpoint before seq ${replayFrom} needs`;
    if (last === undefined) {
      if (replayFrom > 1) fault(log.folder, 0, `no segment is there ${needs}`);
    } else if (first === undefined || first > replayFrom) {
      fault(
        path,
        0,
        `the segment that holds seq ${replayFrom} is missing: the log starts with ${first}`,
      );
    } else if (last.walk.endSeq <= Math.max(replayFrom - 1, lastSeq)) {
      const holds = `a checkpoint holds seq ${Math.max(replayFrom - 1, lastSeq)}`;
      const reason = `the log ends before seq ${last.walk.endSeq}, but ${holds}`;
      fault(last.path, last.walk.endBytes, reason);
    }
  }
  return faults;
}

/** Each checkpoint must have been taken beside this log. */
function identityFaults(log: LogScan, checkpoints: readonly CheckpointScan[]): Fault[] {
  return checkpoints.flatMap(({ headPath, replayFrom, log: own }) => {
    const segment = log.segments.findLast(({ firstSeq }) => firstSeq <= replayFrom);
    if (own === undefined || segment?.header === undefined) return [];
    if (identityAt(segment.header, replayFrom).nonce === own.nonce) return [];
    // The segment itself is missing, which is said elsewhere.
    if (segment.walk.endSeq < replayFrom) return [];
    const reason = `it does not belong to this log: in its own, ${segmentName(own.firstSeq)} has the nonce ${own.nonce}`;
    return [{ path: headPath, offsetBytes: 0, lengthBytes: 0, reason }];
  });
}
