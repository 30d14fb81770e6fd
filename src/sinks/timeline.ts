/**
 * Which run of the service committed which events: DATA_DIR/sinks/runs, JSON. A data folder that is put back to an
 * earlier state (a copy of its volume, say) goes on under the same name and gives the same seqs again, to other events.
 * So a sink keeps the newest event that anything in it is from, by its seq and its run; where this folder's event of
 * that seq is of another run, the sink has a state that the service never had. Main thread, but for `eventOf`.
 *
 *   runs of the folder    A: from 1    B: from 500    C: from 900
 *   runs of a copy of it  A: from 1    B: from 500    D: from 700      made when B was at 699
 *   a sink at 600, B      is of both; at 800, B or at 950, C: not of the copy
 *
 * A run is flushed before its first event is taken in. One that committed nothing is forgotten: no event names it.
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SINKS_FOLDER } from '../log/data-dir.ts';
import type { FileSystem } from '../log/file-system.ts';
import type { NewestEvent } from './sink.ts';
import { replaceSinksFile } from './sinks-file.ts';

const NAME = 'runs';
/** A sink that was away for more of them is not known any more. */
const RUNS_MAX = 10_000;

export interface Run {
  /** The seq of its first event. */
  readonly from: number;
  readonly name: string;
}

/** Oldest first. */
export type Timeline = readonly Run[];

/** Adds the run that begins with `nextSeq`. Throws what the file system throws, and if the file is damaged. */
export function beginRun(files: FileSystem, root: string, nextSeq: number): Timeline {
  const before = read(join(root, SINKS_FOLDER, NAME)).filter(({ from }) => from < nextSeq);
  const own = { from: nextSeq, name: randomBytes(8).toString('hex') };
  const timeline = [...before, own].slice(-RUNS_MAX);
  writeTimeline(files, root, timeline);
  return timeline;
}

/** Writes it again, where the folder was removed meanwhile. */
export function writeTimeline(files: FileSystem, root: string, timeline: Timeline): void {
  replaceSinksFile(files, root, NAME, Buffer.from(`${JSON.stringify(timeline)}\n`));
}

/** The event with this seq; its run is '' where that is not known. */
export function eventOf(timeline: Timeline, seq: number): NewestEvent {
  return { seq, run: timeline.findLast(({ from }) => from <= seq)?.name ?? '' };
}

function read(path: string): Timeline {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (Array.isArray(content)) return content;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Error(`${path} is damaged; without it the sinks are filled anew (docs/sinks.md)`);
}
