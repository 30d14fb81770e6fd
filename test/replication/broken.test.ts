/**
 * Each promise of the replicated log, broken on purpose: the histories find it. I10, that no read waits for NATS, is about
 * whole instances: test/system-tools/cluster.test.ts has it, and a read that does wait.
 */
import t from 'tap';
import { DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import { FrameNumbering } from '../../src/replication/frame-numbering.ts';
import { OwnSlots } from '../../src/replication/own-slots.ts';
import { ProposedShares } from '../../src/replication/proposed-shares.ts';
import { Proposer } from '../../src/replication/proposer.ts';
import { ReplicaState } from '../../src/replication/replica-state.ts';
import { WriterTable } from '../../src/replication/writer-table.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ClusterHistory } from '../helpers/replication/cluster-history.ts';
import { SimulatedPort } from '../helpers/replication/simulated-stream.ts';

const seed = testSeed();
const HISTORIES_MAX = 300;
const NOT_FOUND = 'no history found it';
/** Whatever is found first: one broken promise breaks others. */
const FOUND = /^(?!no history found it)/;

/** What the first of many histories that goes wrong says. */
function firstFault(): string {
  for (let n = 0; n < HISTORIES_MAX; n++) {
    try {
      const history = new ClusterHistory(new Random(seed + n));
      history.run();
      history.check();
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
  return NOT_FOUND;
}

/** Replaces a method while `run` runs. */
function broken<T extends object, K extends keyof T>(
  prototype: T,
  name: K,
  replace: (original: T[K]) => T[K],
  run: () => void,
): void {
  const original = prototype[name];
  prototype[name] = replace(original);
  try {
    run();
  } finally {
    prototype[name] = original;
  }
}

function breaks<T extends object, K extends keyof T>(
  what: string,
  prototype: T,
  name: K,
  replace: (original: T[K]) => T[K],
  found: RegExp,
): void {
  t.test(`${what} (seed ${seed})`, (t) => {
    broken(prototype, name, replace, () => t.match(firstFault(), found));
    t.end();
  });
}

breaks(
  'I1, I5: settled before it came back',
  OwnSlots.prototype,
  'takeNext',
  (original) =>
    function (this: OwnSlots, n) {
      const taken = original.call(this, n);
      if (taken !== undefined) {
        this.returned({ ...taken, n });
        this.pass();
        this.settle();
      }
      return taken;
    },
  FOUND,
);
breaks(
  'I2, I6: a frame is taken whenever it comes',
  WriterTable.prototype,
  'take',
  (original) =>
    function (this: WriterTable, writer, n, position) {
      original.call(this, writer, n, position);
      return this.has(writer);
    },
  FOUND,
);
breaks(
  'I4: a message is passed over',
  SimulatedPort.prototype,
  'take',
  (original) =>
    function (this: SimulatedPort) {
      const first = original.call(this);
      return first !== undefined && first.position % 50 === 0 ? original.call(this) : first;
    },
  /position \d+ came behind/,
);
breaks(
  'I3, I8: the window is what there is room for',
  DedupeWindow.prototype,
  'seqAmongLast',
  () =>
    function (this: DedupeWindow, _, words, at) {
      return Math.random() < 0.05 ? 0 : this.seqOf(words, at);
    },
  FOUND,
);
breaks(
  "I7: the log's time is the writer's clock",
  FrameNumbering.prototype,
  'number',
  (original) =>
    function (this: FrameNumbering, count, facts) {
      // A function of the stream, so that all agree on it; some clock is always 3 s behind another.
      const timeMs = facts.timeMs - (facts.firstSeq % 2) * 3000;
      return original.call(this, count, { ...facts, timeMs });
    },
  /I7/,
);
breaks(
  'I9: the chain depends on more than the stream',
  ReplicaState.prototype,
  'note',
  (original) =>
    function (this: ReplicaState, firstSeq, kept, slots) {
      original.call(this, firstSeq, Math.random() < 0.01 ? kept + 1 : kept, slots);
    },
  /I9/,
);
breaks(
  'what comes back is taken for that of another thread',
  ProposedShares.prototype,
  'of',
  (original) =>
    function (this: ProposedShares, n) {
      const counts = original.call(this, n);
      if (this.rings === 2) return counts;
      const [first, second, ...rest] = counts;
      return Int32Array.of(second, first, ...rest);
    },
  FOUND,
);
breaks(
  'what is lost is not sent again',
  Proposer.prototype,
  'resend',
  () => () => undefined,
  /does not come to rest/,
);
