/**
 * What may go: checkpoints older than the two newest that are good, and segments of the log that
 * both of these cover and LOG_RETENTION does not ask for. Runs after a checkpoint, in its thread;
 * the log thread only ever adds segments, at the other end.
 */
import { join } from 'node:path';
import { parseBytes, parseDuration } from '../config/quantity.ts';
import type { FileSystem } from '../log/file-system.ts';
import { segmentName } from '../log/format.ts';
import { listSegments, readSegmentHeader } from '../log/segment-headers.ts';
import { checkpointName, removedName } from './format.ts';
import { listCheckpoints } from './reader.ts';

/** How many checkpoints are kept: the newest may turn out damaged when it is needed. */
const CHECKPOINTS_KEPT = 2;

/** How much log is kept although no checkpoint needs it: by size or by age. */
export type LogRetention = { readonly bytes: number } | { readonly ageMs: number };

/** Reads LOG_RETENTION, which the configuration has checked to be one or the other. */
export function parseRetention(text: string): LogRetention {
  const ageMs = parseDuration(text);
  return ageMs === undefined ? { bytes: parseBytes(text) ?? 0 } : { ageMs };
}

export interface RetentionOptions {
  readonly files: FileSystem;
  readonly logFolder: string;
  readonly checkpointFolder: string;
  readonly retention: LogRetention;
  /** Checkpoints known to be damaged; they cover nothing. */
  readonly damaged: readonly number[];
  readonly nowMs: number;
  /** Called after each removal, which may hold up the log's flushes: waits, or says no to more. */
  readonly goOn: () => boolean;
}

export interface Removed {
  readonly checkpoints: number;
  readonly segments: number;
  /** Segments from the future of the clock, while it decides by age; only there where some are. */
  readonly futureSegments?: number;
}

/** Removes what may go. Throws what the file system throws; a second call goes on from there. */
export function applyRetention(options: RetentionOptions): Removed {
  const { files, checkpointFolder, damaged, goOn } = options;
  const all = listCheckpoints(files, checkpointFolder);
  const good = all.filter((seq) => !damaged.includes(seq));
  const covered = good[CHECKPOINTS_KEPT - 1];
  // Until there are two, the log from its beginning is the second.
  if (covered === undefined) return { checkpoints: 0, segments: 0 };

  let checkpoints = 0;
  for (const seq of all.filter((seq) => seq < covered)) {
    removeCheckpoint(files, checkpointFolder, seq);
    checkpoints++;
    if (!goOn()) return { checkpoints, segments: 0 };
  }
  return { checkpoints, ...removeSegments(options, covered) };
}

/** Removes one checkpoint. Throws what the file system throws. */
export function removeCheckpoint(files: FileSystem, folder: string, replayFrom: number): void {
  const removed = removedName(replayFrom);
  // What an earlier try may have left half-removed stands in the way.
  if (files.list(folder).includes(removed)) files.removeFolder(join(folder, removed));
  // Renamed first: half a checkpoint must never look like one.
  files.rename(join(folder, checkpointName(replayFrom)), join(folder, removed));
  files.syncFolder(folder);
  files.removeFolder(join(folder, removed));
}

function removeSegments(options: RetentionOptions, covered: number): Omit<Removed, 'checkpoints'> {
  const { files, logFolder, goOn, retention } = options;
  const segments = listSegments(files, logFolder);
  const ages = 'bytes' in retention ? undefined : createdTimes(options, segments);
  const keep = segments.findIndex((_, i) => !isRemovable(options, segments, ages, i, covered));
  let removed = 0;
  // Oldest first, so that what is left is always without gaps.
  for (const firstSeq of segments.slice(0, keep)) {
    files.remove(join(logFolder, segmentName(firstSeq)));
    files.syncFolder(logFolder);
    removed++;
    if (!goOn()) break;
  }
  const futureSegments = ages?.future ?? 0;
  return { segments: removed, ...(futureSegments > 0 ? { futureSegments } : {}) };
}

/** Whether segment `i` may go, provided that all before it may. The newest never may. */
function isRemovable(
  { files, logFolder, retention, nowMs }: RetentionOptions,
  segments: readonly number[],
  ages: CreatedTimes | undefined,
  i: number,
  covered: number,
): boolean {
  const next = segments[i + 1];
  if (next === undefined || next > covered) return false;
  if ('bytes' in retention) {
    const behind = segments.slice(i + 1).reduce((sum, seq) => sum + size(files, logFolder, seq), 0);
    return behind >= retention.bytes;
  }
  // All events of a segment are older than the next one.
  return (ages?.createdAtMs[i + 1] ?? nowMs) <= nowMs - retention.ageMs;
}

interface CreatedTimes {
  /** When each segment was created, at the latest. */
  readonly createdAtMs: readonly number[];
  /** How many say that they were in the future. */
  readonly future: number;
}

/**
 * When the segments were created, as far as that can be believed. One from the future of the clock was
 * made while the clock was wrong: it is older than the next one that is not, or than now. And none is
 * older than one before it, whatever a clock that was behind has written.
 */
function createdTimes(
  { files, logFolder, nowMs }: RetentionOptions,
  segments: readonly number[],
): CreatedTimes {
  const said = segments.map((seq) => readSegmentHeader(files, logFolder, seq).createdAtMs);
  const createdAtMs = [...said];
  for (let i = said.length - 1, nextMs = nowMs; i >= 0; i--) {
    if ((said[i] as number) <= nowMs) nextMs = said[i] as number;
    createdAtMs[i] = nextMs;
  }
  for (let i = 1; i < said.length; i++) {
    createdAtMs[i] = Math.max(createdAtMs[i] as number, createdAtMs[i - 1] as number);
  }
  return { createdAtMs, future: said.filter((ms) => ms > nowMs).length };
}

function size(files: FileSystem, folder: string, firstSeq: number): number {
  const file = files.openForReading(join(folder, segmentName(firstSeq)));
  try {
    return files.size(file);
  } finally {
    files.close(file);
  }
}
