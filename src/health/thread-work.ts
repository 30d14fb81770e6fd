/**
 * The work of the write path's threads as the watchdog sees it (progress-watch.ts): what is published
 * for each, and how far it is. Main thread; only reads.
 */
import { COMMIT_HEAD, type CommitRing, commitCursor } from '../ring/commit-ring.ts';
import {
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRing,
  type IntakeRings,
  producersOf,
} from '../ring/intake-ring.ts';
import type { Work } from './progress-watch.ts';

export const LOG_WORK = 'log';

export interface ThreadWorkOptions {
  readonly rings: IntakeRings;
  readonly commits: CommitRing;
  /** Whether the log is known to be held up by its disk; it tries again and says when that is over. */
  readonly isLogExcused: () => boolean;
}

/** The appliers, and the log, which can be held up by them: it waits while the commit ring is full. */
export function threadWork({ rings, commits, isLogExcused }: ThreadWorkOptions): Work[] {
  const all = producersOf(rings).flatMap(({ live, bulk }) => [live, bulk]);
  const { cursors } = commits;
  const appliers = Array.from({ length: commits.appliers }, (_, index): Work => {
    const cursor = commitCursor(index);
    return {
      name: `applier ${index}`,
      pending: () => (Atomics.load(cursors, COMMIT_HEAD) - Atomics.load(cursors, cursor)) | 0,
      position: () => Atomics.load(cursors, cursor),
    };
  });
  const log: Work = {
    name: LOG_WORK,
    pending: () => (isLogExcused() ? 0 : all.reduce((sum, ring) => sum + unsettled(ring), 0)),
    // They only count up, and a frame moves at least one of them.
    position: () => all.reduce((sum, ring) => (sum + tailOf(ring)) | 0, 0),
    behind: appliers.map(({ name }) => name),
  };
  return [...appliers, log];
}

/** The tail first: what moves in between makes it more, never less than 0. */
function unsettled(ring: IntakeRing): number {
  const tail = tailOf(ring);
  return (Atomics.load(ring.cursors, INTAKE_HEAD) - tail) | 0;
}

function tailOf({ cursors }: IntakeRing): number {
  return Atomics.load(cursors, INTAKE_TAIL);
}
