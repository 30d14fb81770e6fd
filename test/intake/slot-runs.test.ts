/** Whose each settled slot is, and what became of it: against a plain list, a slot each. */
import t from 'tap';
import { Batch } from '../../src/intake/batch.ts';
import { SlotAdmission } from '../../src/intake/slot-admission.ts';
import { SlotRuns } from '../../src/intake/slot-runs.ts';
import { IntakeRing } from '../../src/ring/intake-ring.ts';
import {
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../../src/ring/slot.ts';
import { Admission } from '../../src/store/admission.ts';
import { Shard } from '../../src/store/shard.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { planStore } from '../../src/store/sizing.ts';
import { Random } from '../helpers/models/random.ts';

const SLOTS = 4096;
const STEPS = 6000;
/** The cursors pass the 32-bit wrap on the way. */
const FIRST_CURSOR = 2 ** 31 - 1000;

const MARKS = { taken: 0, repeated: FLAG_DUPLICATE, conflict: FLAG_CONFLICT } as const;
type Fate = keyof typeof MARKS;

interface Sent {
  readonly of: Followed;
  readonly number: number;
  readonly isKeyed: boolean;
}

/** A batch, what it was told, and what it should have been told. */
class Followed {
  readonly batch = new Batch();
  readonly seqs: number[] = [];
  readonly conflicts: number[] = [];
  readonly expected = {
    accepted: 0,
    duplicates: 0,
    seqs: [] as number[],
    conflicts: [] as number[],
  };
  nextNumber = 1;

  constructor() {
    this.batch.onSeqs = (from, to) => {
      for (let seq = from; seq <= to; seq++) this.seqs.push(seq);
    };
    this.batch.onConflict = (number) => this.conflicts.push(number);
  }

  get told() {
    const { accepted, duplicates } = this.batch;
    return { accepted, duplicates, seqs: this.seqs, conflicts: this.conflicts };
  }
}

function setup(isLogShared = false) {
  const plan = planStore(1 << 16, 1);
  const shards = [Shard.create(plan.shard)];
  const hashKey = { k0: 1, k1: 2 };
  const store = new SharedProductStore(shards, hashKey);
  const room = { store, admission: new Admission(shards, plan), shards: 1, hashKey };
  const ring = IntakeRing.create(SLOTS, FIRST_CURSOR | 0);
  return { ring, runs: new SlotRuns(ring, new SlotAdmission(room), undefined, isLogShared) };
}

t.test('in a shared log any event may find no room', (t) => {
  const { ring, runs } = setup(true);
  const { batch } = new Followed();
  const refused: number[] = [];
  batch.onNoRoom = (number) => refused.push(number);
  runs.addRun({ batch, isKeyed: false, number: 7 }, 3);
  const first = FIRST_CURSOR | 0;
  for (const [i, flag] of [0, FLAG_NO_ROOM, 0].entries()) {
    const index = (first + i) & ring.mask;
    ring.slots.words[index * SLOT_WORDS + SLOT_META] = flag;
    ring.slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ] = flag === 0 ? i + 1 : 0;
  }
  runs.settle(first, (first + 3) | 0, 0);
  t.strictSame(refused, [8]);
  t.match(batch, { accepted: 2, inFlight: 0, firstSeq: 1, lastSeq: 3 });
  t.end();
});

const random = new Random();
t.test(`every slot counts for its batch (SEED=${random.seed})`, async (t) => {
  const { ring, runs } = setup();
  const { words, doubles } = ring.slots;
  const batches = [new Followed(), new Followed(), new Followed()];
  const sent: Sent[] = [];
  let settled = FIRST_CURSOR | 0;
  let seq = 0;

  const add = () => {
    const of = random.pick(batches);
    const isKeyed = random.chance(0.3);
    if (random.chance(0.1)) of.nextNumber += 5; // an event of it went elsewhere
    const count = random.chance(0.02) ? random.integer(1, 40) : 1;
    if (sent.length + count > SLOTS) return;
    const number = of.nextNumber;
    if (count === 1) runs.add(of.batch, number, isKeyed, random.chance(0.8));
    else runs.addRun({ batch: of.batch, isKeyed, number }, count);
    for (let i = 0; i < count; i++) sent.push({ of, number: number + i, isKeyed });
    of.nextNumber += count;
  };

  /** As the log thread does: each slot gets a number and, where it may be dropped, a mark. */
  const settle = () => {
    const count = random.integer(0, sent.length);
    for (const [i, { of, number, isKeyed }] of sent.splice(0, count).entries()) {
      const index = (settled + i) & ring.mask;
      const fate: Fate = isKeyed
        ? random.pick(['taken', 'repeated', 'conflict'] as const)
        : 'taken';
      seq += random.chance(0.9) ? 1 : 3; // single events come between
      words[index * SLOT_WORDS + SLOT_META] = MARKS[fate];
      doubles[index * SLOT_DOUBLES + SLOT_SEQ] = seq;
      const { expected } = of;
      if (fate === 'conflict') expected.conflicts.push(number);
      else expected.seqs.push(seq);
      if (fate === 'taken') expected.accepted++;
      if (fate === 'repeated') expected.duplicates++;
    }
    const to = (settled + count) | 0;
    runs.settle(settled, to, 0);
    settled = to;
  };

  for (let step = 0; step < STEPS; step++) {
    // Seldom, so that thousands of runs wait and the array is cut in their middle.
    if (random.chance(0.002)) settle();
    else add();
    const inFlight = batches.reduce((sum, { batch }) => sum + batch.inFlight, 0);
    if (inFlight !== sent.length) t.fail(`step ${step}: ${inFlight} in flight, not ${sent.length}`);
  }
  while (sent.length > 0) settle();
  for (const { told, expected } of batches) t.strictSame(told, expected);
  t.ok(settled < 0, 'past the wrap');
});

t.test('lets go the batches whose slots wait too long, and those only', async (t) => {
  const { runs } = setup();
  const [early, late] = [new Batch(), new Batch()];
  runs.addRun({ batch: early, isKeyed: false, number: 1 }, 2);
  const betweenMs = nextMoment();
  runs.add(late, 1, false, true);
  runs.settle(FIRST_CURSOR | 0, (FIRST_CURSOR + 1) | 0, 0);
  runs.failQueuedBefore(betweenMs);
  t.strictSame([early.hasFailed, late.hasFailed], [true, false], 'one slot of it is left');
  t.equal(early.inFlight, 1, 'which stays in flight');
  runs.clear();
  runs.failQueuedBefore(Number.POSITIVE_INFINITY);
  t.equal(late.hasFailed, false, 'of what was forgotten nobody is told');
});

/** A time after all before, and before all after. */
function nextMoment(): number {
  const next = (afterMs: number) => {
    let nowMs = afterMs;
    while (nowMs === afterMs) nowMs = performance.now();
    return nowMs;
  };
  const moment = next(performance.now());
  next(moment);
  return moment;
}
