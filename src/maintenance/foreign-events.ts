/**
 * Good events that are not of the log they lie beside: whole frames of segments that don't belong to it,
 * as another service leaves them that was writing into the same folder. Each was acknowledged to
 * somebody, and none can be merged: its seq may be another event's here. Pure.
 */
import type { LogScan } from './log-scan.ts';
import type { SegmentScan } from './segment-scan.ts';

export interface ForeignEvents {
  readonly path: string;
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly events: number;
  /** How many of its seqs the log itself gave to other events. */
  readonly givenTwice: number;
}

/** One for each foreign segment with good events that the log does not have itself. */
export function foreignEvents({
  segments,
  foreign,
}: Pick<LogScan, 'segments' | 'foreign'>): ForeignEvents[] {
  const own = segments.flatMap(({ walk }) => walk.runs);
  return foreign.flatMap((scan) => {
    const runs = scan.walk.runs.filter(({ firstSeq, endSeq }) => endSeq > firstSeq);
    const [first] = runs;
    if (first === undefined || isCopy(scan, segments)) return [];
    const shared = runs.flatMap((run) => own.map((other) => overlap(run, other)));
    return [
      {
        path: scan.path,
        fromSeq: first.firstSeq,
        toSeq: Math.max(...runs.map(({ endSeq }) => endSeq)) - 1,
        events: sum(runs.map(({ firstSeq, endSeq }) => endSeq - firstSeq)),
        givenTwice: sum(shared),
      },
    ];
  });
}

/** Whether a segment of the log is the same one, and has as much of it. */
function isCopy(scan: SegmentScan, segments: readonly SegmentScan[]): boolean {
  return segments.some(
    ({ nonce, walk }) =>
      nonce !== undefined &&
      scan.nonce?.equals(nonce) === true &&
      walk.faults.length === 0 &&
      walk.endSeq >= scan.walk.endSeq,
  );
}

interface Run {
  readonly firstSeq: number;
  readonly endSeq: number;
}

function overlap(a: Run, b: Run): number {
  return Math.max(0, Math.min(a.endSeq, b.endSeq) - Math.max(a.firstSeq, b.firstSeq));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, n) => total + n, 0);
}
