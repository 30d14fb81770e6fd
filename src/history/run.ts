/**
 * Equal neighbours as one row. Pure; any thread.
 *
 * A run is a mark and those behind it that said the same value again, up to RUN_MARKS_MAX of them. Readers
 * of the history see where a run begins; the times inside are kept because a late event may come between
 * them: 5 at noon, 5 at two, and then, late, 7 at one makes three of what was one, and the third begins at
 * two. So the history is the same in whichever order its events came.
 *
 *   again   n × (f64 atMs, f64 seq), ascending, little-endian; NULL = none
 */
import type { Mark } from './mark.ts';

/** Bounds a row to a kilobyte; longer runs are several rows, which readers take together. */
export const RUN_MARKS_MAX = 64;

const PAIR_DOUBLES = 2;

export interface Run extends Mark {
  readonly again: Uint8Array | null;
}

/** The marks of a run, ascending. */
export function marksOf({ atMs, seq, value, again }: Run): Mark[] {
  const marks: Mark[] = [{ atMs, seq, value }];
  const pairs = pairsOf(again);
  for (let i = 0; i < pairs.length; i += PAIR_DOUBLES) {
    marks.push({ atMs: pairs[i], seq: pairs[i + 1], value });
  }
  return marks;
}

/** The last moment at which a run was said. */
export function lastAtMs({ atMs, again }: Pick<Run, 'atMs' | 'again'>): number {
  return pairsOf(again).at(-PAIR_DOUBLES) ?? atMs;
}

/** Packs `marks` (ascending, each moment once) into as few runs as there can be. */
export function packRuns(marks: readonly Mark[]): Run[] {
  const runs: Run[] = [];
  for (let from = 0; from < marks.length; ) {
    const first = marks[from];
    let to = from + 1;
    while (to < marks.length && to - from < RUN_MARKS_MAX && marks[to].value === first.value) {
      to++;
    }
    runs.push({ ...first, again: to === from + 1 ? null : packAgain(marks, from + 1, to) });
    from = to;
  }
  return runs;
}

/**
 * Puts `mark` among `marks` (ascending); of two of one moment the later seq stays. False if it changes
 * nothing, because it is there or was overwritten.
 */
export function putMark(marks: Mark[], mark: Mark): boolean {
  let at = marks.length;
  while (at > 0 && marks[at - 1].atMs > mark.atMs) at--;
  const there = marks[at - 1];
  if (there?.atMs !== mark.atMs) {
    marks.splice(at, 0, mark);
    return true;
  }
  if (there.seq >= mark.seq) return false;
  marks[at - 1] = mark;
  return true;
}

/** What marks change of some runs of a field. */
export interface RunEdits {
  /** Where runs begin that are no more. */
  readonly removed: readonly number[];
  readonly put: readonly Run[];
  /** All of them as they are then. */
  readonly runs: readonly Run[];
}

/**
 * Puts `marks` among `old`: neighbours, ascending, from the one before the first mark (or it is the first of the
 * field) to the one behind the last mark (or it is the last).
 */
export function editRuns(old: readonly Run[], marks: readonly Mark[]): RunEdits {
  const all = old.flatMap(marksOf);
  for (const mark of marks) putMark(all, mark);
  const runs = packRuns(all);
  const begins = new Set(runs.map(({ atMs }) => atMs));
  const known = new Map(old.map((run) => [run.atMs, run]));
  return {
    removed: old.map(({ atMs }) => atMs).filter((atMs) => !begins.has(atMs)),
    put: runs.filter((run) => !isSameRun(run, known.get(run.atMs))),
    runs,
  };
}

export function isSameRun(a: Run, b: Run | undefined): boolean {
  return (
    a.atMs === b?.atMs &&
    a.seq === b.seq &&
    a.value === b.value &&
    Buffer.compare(a.again ?? NOTHING, b.again ?? NOTHING) === 0
  );
}

const NOTHING = new Uint8Array(0);

function packAgain(marks: readonly Mark[], from: number, to: number): Uint8Array {
  const pairs = new Float64Array((to - from) * PAIR_DOUBLES);
  for (let i = from; i < to; i++) {
    pairs[(i - from) * PAIR_DOUBLES] = marks[i].atMs;
    pairs[(i - from) * PAIR_DOUBLES + 1] = marks[i].seq;
  }
  return new Uint8Array(pairs.buffer);
}

/** Copied, because a blob may begin at any byte of its memory; a Buffer's `slice` would be none. */
function pairsOf(again: Uint8Array | null): Float64Array {
  return again === null ? new Float64Array(0) : new Float64Array(new Uint8Array(again).buffer);
}
