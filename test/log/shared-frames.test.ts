/**
 * What goes into a frame of several producers' rings: what there is room for is shared, no producer
 * starves, and each ring keeps its order.
 */
import t from 'tap';
import { DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { BULK_SHARE, FRAME_SLOTS_MAX, FrameContent } from '../../src/log/frame-content.ts';
import { CommitRing } from '../../src/ring/commit-ring.ts';
import {
  INTAKE_DOORBELL,
  INTAKE_HEAD,
  INTAKE_TAIL,
  IntakeRing,
  publishHead,
} from '../../src/ring/intake-ring.ts';
import {
  describeSlot,
  FLAG_DUPLICATE,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../../src/ring/slot.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const KEY = { k0: 1, k1: 2 };
const LIVE = 16;
const PRODUCERS = 3;
/** Of a full frame, for each. */
const SHARE = Math.floor(FRAME_SLOTS_MAX / PRODUCERS);
const NOW_MS = 1_800_000_000_000;
const seed = testSeed();

/** The rings of three producers, and a log thread without a disk. */
class Bench {
  readonly producers = Array.from({ length: PRODUCERS }, () => ({
    live: IntakeRing.create(LIVE, -3),
    bulk: IntakeRing.create(2 * FRAME_SLOTS_MAX, 2 ** 31 - 3),
  }));
  readonly content: FrameContent;
  readonly #window = new DedupeWindow(DedupeWindow.create(1000), KEY);
  readonly #commits = new CommitPublisher(CommitRing.create(2 * FRAME_SLOTS_MAX, 0));
  readonly #frame = new SlotViews(
    new ArrayBuffer(FRAME_SLOTS_MAX * SLOT_BYTES),
    0,
    FRAME_SLOTS_MAX,
  );
  nextSeq = 1;

  constructor() {
    const [main, ...further] = this.producers;
    this.content = new FrameContent({ ...main, further }, this.#window);
  }

  push(ring: IntakeRing, event: Partial<PlainEvent>): void {
    const head = ring.cursors[INTAKE_HEAD];
    const whole = { seq: 0, productId: 'p', price: 1, stock: 2, occurredAtMs: 3, ...event };
    putEvent(ring.slots, head & ring.mask, whole, KEY);
    publishHead(ring, (head + 1) | 0, this.producers[0].live);
  }

  /** `count` slots of the ring become pending, as they are. */
  fill(ring: IntakeRing, count: number): void {
    publishHead(ring, (ring.cursors[INTAKE_HEAD] + count) | 0, this.producers[0].live);
  }

  /** One frame, as the sequencer does it; returns the ids in it. */
  commit(free = Number.POSITIVE_INFINITY): string[] {
    this.content.claim(free);
    const kept = this.content.number(this.nextSeq, NOW_MS);
    this.content.copyTo(this.#frame);
    this.content.pass(this.#commits, 0);
    this.content.settle();
    this.nextSeq += kept;
    return Array.from({ length: kept }, (_, i) => describeSlot(this.#frame, i).productId);
  }

  seqAt(ring: IntakeRing, cursor: number): number {
    return ring.slots.doubles[(cursor & ring.mask) * SLOT_DOUBLES + SLOT_SEQ];
  }
}

function settled(ring: IntakeRing, from: number): number {
  return (Atomics.load(ring.cursors, INTAKE_TAIL) - from) | 0;
}

t.test('every live ring is in the next frame, before any bulk, whoever floods', (t) => {
  const bench = new Bench();
  const [a, b, c] = bench.producers;
  bench.fill(a.bulk, 2 * FRAME_SLOTS_MAX);
  bench.push(b.live, { productId: 'b1' });
  bench.push(b.live, { productId: 'b2' });
  bench.push(c.live, { productId: 'c1' });
  bench.push(a.live, { productId: 'a1' });
  t.equal(Atomics.load(a.live.cursors, INTAKE_DOORBELL), 5, 'one doorbell for all');
  const ids = bench.commit();
  t.same(ids.slice(0, 4), ['a1', 'b1', 'b2', 'c1']);
  t.equal(ids.length, 4 + BULK_SHARE);
  t.equal(bench.seqAt(b.live, -2), 3);
  t.equal(bench.seqAt(c.live, -3), 4);
  t.same(
    [...bench.content.furtherTails],
    [
      b.live.cursors[INTAKE_TAIL],
      b.bulk.cursors[INTAKE_TAIL],
      c.live.cursors[INTAKE_TAIL],
      c.bulk.cursors[INTAKE_TAIL],
    ],
  );
  t.end();
});

t.test('imports on several threads get the same of a frame, and one alone all of it', (t) => {
  const bench = new Bench();
  const [a, b, c] = bench.producers;
  const first = a.bulk.cursors[INTAKE_TAIL];
  bench.fill(a.bulk, 2 * FRAME_SLOTS_MAX);
  bench.fill(b.bulk, 2 * FRAME_SLOTS_MAX);
  bench.fill(c.bulk, 10);
  t.equal(bench.commit().length, FRAME_SLOTS_MAX);
  t.equal(settled(c.bulk, first), 10, 'the one that has little gets all of it');
  for (const ring of [a.bulk, b.bulk]) t.ok(settled(ring, first) >= SHARE);
  // What is left over goes to another one first each time.
  t.equal(bench.commit().length, FRAME_SLOTS_MAX);
  const ahead = Math.abs(settled(a.bulk, first) - settled(b.bulk, first));
  t.ok(ahead <= SHARE, `${ahead} ahead`);
  t.end();
});

t.test('two threads bring events under one key: the first is new, the second repeats it', (t) => {
  const bench = new Bench();
  const [, b, c] = bench.producers;
  bench.push(b.live, { key: 'k' });
  bench.push(c.bulk, { key: 'k' });
  t.equal(bench.commit().length, 1);
  t.equal(bench.seqAt(b.live, -3), 1);
  const cursor = 2 ** 31 - 3;
  t.equal(bench.seqAt(c.bulk, cursor), 1);
  const meta = c.bulk.slots.words[(cursor & c.bulk.mask) * SLOT_WORDS + SLOT_META];
  t.ok((meta & FLAG_DUPLICATE) !== 0);
  t.end();
});

t.test(`nobody starves and order is kept, whatever room there is (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const bench = new Bench();
  const rings = bench.producers.flatMap(({ live, bulk }) => [live, bulk]);
  const pushed = rings.map(() => 0);
  const seen = rings.map(() => 0);
  const faults: string[] = [];
  for (let round = 0; round < 3000; round++) {
    for (const [r, ring] of rings.entries()) {
      const pending = pushed[r] - seen[r];
      const count = random.below(Math.min(8, Math.min(ring.capacity, 64) - pending) + 1);
      for (let i = 0; i < count; i++) bench.push(ring, { productId: `${r} ${++pushed[r]}` });
    }
    const waiting = rings.map((_, r) => pushed[r] - seen[r]);
    const free = random.chance(0.5) ? LIVE + random.below(40) : random.below(12);
    for (const id of bench.commit(free)) {
      const [r, n] = id.split(' ').map(Number);
      if (n !== seen[r] + 1) faults.push(`${id} after ${seen[r]}`);
      seen[r] = n;
    }
    // A share of the room for each live ring, as far as it has use for it.
    for (let r = 0; r < rings.length; r += 2) {
      const got = waiting[r] - (pushed[r] - seen[r]);
      const share = Math.min(waiting[r], Math.floor(free / PRODUCERS));
      if (got < share) faults.push(`ring ${r} got ${got} of ${waiting[r]}, ${free} free`);
    }
  }
  t.same(faults.slice(0, 5), []);
  t.ok(
    seen.every((count) => count > 500),
    JSON.stringify(seen),
  );
  t.end();
});
