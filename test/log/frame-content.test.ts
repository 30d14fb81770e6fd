/**
 * What goes into a frame, of two rings: live events first and at once, bulk in what room is left;
 * order within each ring; repetitions and conflicts get no place.
 */
import t from 'tap';
import { DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { BULK_SHARE, FRAME_SLOTS_MAX, FrameContent } from '../../src/log/frame-content.ts';
import { CommitRing } from '../../src/ring/commit-ring.ts';
import { INTAKE_HEAD, INTAKE_TAIL, IntakeRing, publishHead } from '../../src/ring/intake-ring.ts';
import {
  describeSlot,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../../src/ring/slot.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const KEY = { k0: 1, k1: 2 };
const LIVE = 16;
const NOW_MS = 1_800_000_000_000;
const seed = testSeed();

interface BenchOptions {
  readonly bulk?: number;
  readonly firstCursor?: number;
}

/** Both rings and a log thread without a disk. */
class FrameBench {
  readonly live: IntakeRing;
  readonly bulk: IntakeRing;
  readonly content: FrameContent;
  readonly window = new DedupeWindow(DedupeWindow.create(1000), KEY);
  readonly frame = new SlotViews(new ArrayBuffer(FRAME_SLOTS_MAX * SLOT_BYTES), 0, FRAME_SLOTS_MAX);
  readonly #commits: CommitPublisher;
  nextSeq = 1;

  constructor({ bulk = 2 * FRAME_SLOTS_MAX, firstCursor = 0 }: BenchOptions = {}) {
    this.live = IntakeRing.create(LIVE, firstCursor);
    this.bulk = IntakeRing.create(bulk, firstCursor);
    this.#commits = new CommitPublisher(CommitRing.create(2 * FRAME_SLOTS_MAX, 0, firstCursor));
    this.content = new FrameContent({ live: this.live, bulk: this.bulk }, this.window);
  }

  push(ring: IntakeRing, event: Partial<PlainEvent>): void {
    const head = ring.cursors[INTAKE_HEAD];
    const whole = { seq: 0, productId: 'p', price: 1, stock: 2, occurredAtMs: 3, ...event };
    putEvent(ring.slots, head & ring.mask, whole, KEY);
    publishHead(ring, (head + 1) | 0, this.live);
  }

  /** `count` slots of the bulk ring become pending, as they are. */
  fillBulk(count: number): void {
    publishHead(this.bulk, (this.bulk.cursors[INTAKE_HEAD] + count) | 0, this.live);
  }

  /** One frame, as the sequencer does it; returns how many events its frame has. */
  commit(free = Number.POSITIVE_INFINITY): number {
    this.content.claim(free);
    const kept = this.content.number(this.nextSeq, NOW_MS);
    this.content.copyTo(this.frame);
    this.content.pass(this.#commits, 0);
    this.content.settle();
    this.nextSeq += kept;
    return kept;
  }

  /** Of the slot at a cursor: its seq, and what it is marked as. */
  fate(ring: IntakeRing, cursor: number): string {
    const index = cursor & ring.mask;
    const meta = ring.slots.words[index * SLOT_WORDS + SLOT_META];
    const seq = ring.slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ];
    if ((meta & FLAG_CONFLICT) !== 0) return `conflict ${seq}`;
    return (meta & FLAG_DUPLICATE) !== 0 ? `repeats ${seq}` : `${seq}`;
  }

  frameIds(count: number): string[] {
    return Array.from({ length: count }, (_, i) => describeSlot(this.frame, i).productId);
  }
}

t.test('a full bulk ring keeps no live event out of the next frame', (t) => {
  const bench = new FrameBench();
  bench.fillBulk(2 * FRAME_SLOTS_MAX);
  t.equal(bench.commit(), FRAME_SLOTS_MAX, 'bulk alone fills a frame');
  bench.push(bench.live, { productId: 'live 1' });
  bench.push(bench.live, { productId: 'live 2' });
  t.equal(bench.commit(), 2 + BULK_SHARE, 'a short frame');
  t.same(bench.frameIds(2), ['live 1', 'live 2'], 'live events first');
  t.equal(Atomics.load(bench.live.cursors, INTAKE_TAIL), 2, 'and settled');
  t.equal(bench.commit(), BULK_SHARE, 'the next live event may be near');
  t.end();
});

t.test('frames are full again some time after the last live event', (t) => {
  const bench = new FrameBench();
  bench.push(bench.live, {});
  t.equal(bench.commit(), 1);
  let short = 0;
  for (;;) {
    bench.fillBulk(FRAME_SLOTS_MAX);
    if (bench.commit() === FRAME_SLOTS_MAX) break;
    while (bench.content.isPending) bench.commit();
    short++;
  }
  t.ok(short > 0 && short < 1000, `${short} times`);
  t.end();
});

t.test('bulk leaves room for a whole live ring in the commit ring', (t) => {
  const bench = new FrameBench();
  bench.fillBulk(100);
  t.equal(bench.content.roomNeeded, LIVE + 1);
  t.equal(bench.commit(LIVE), 0, 'no room for bulk');
  t.equal(bench.commit(LIVE + 5), 5);
  bench.push(bench.live, {});
  t.equal(bench.content.roomNeeded, 1);
  t.equal(bench.commit(1), 1, 'any room is room for a live event');
  for (let n = 0; n < 10; n++) bench.push(bench.live, {});
  t.equal(bench.commit(LIVE + 4), 10 + 4, 'bulk gets what is beyond that');
  t.end();
});

t.test('repetitions and conflicts in one batch, across both rings and wraps', (t) => {
  const bench = new FrameBench({ bulk: 16, firstCursor: -2 });
  const { live, bulk } = bench;
  bench.push(bulk, { productId: 'b0', key: 'A' });
  bench.push(bulk, { productId: 'b1' });
  bench.push(bulk, { productId: 'b2', key: 'B' });
  bench.push(bulk, { productId: 'b2', key: 'B' });
  bench.push(bulk, { productId: 'b3' });
  bench.push(live, { productId: 'b0', key: 'A' });
  bench.push(live, { productId: 'l1' });
  bench.push(live, { productId: 'l2', key: 'A' });
  t.equal(bench.commit(), 5);
  t.same(
    [-2, -1, 0].map((cursor) => bench.fate(live, cursor)),
    ['1', '2', 'conflict 0'],
  );
  t.same(
    [-2, -1, 0, 1, 2].map((cursor) => bench.fate(bulk, cursor)),
    ['repeats 1', '3', '4', 'repeats 4', '5'],
  );
  t.same(bench.frameIds(5), ['b0', 'l1', 'b1', 'b2', 'b3'], 'only these are in the frame');
  for (const flag of [FLAG_DUPLICATE, FLAG_CONFLICT]) {
    const metas = Array.from(
      { length: 5 },
      (_, i) => bench.frame.words[i * SLOT_WORDS + SLOT_META],
    );
    t.ok(
      metas.every((meta) => ((meta as number) & flag) === 0),
      'none of it goes to disk',
    );
  }

  bench.push(live, { productId: 'b2', key: 'B' });
  bench.push(bulk, { productId: 'b9', key: 'B' });
  t.equal(bench.commit(), 0, 'nothing to write');
  t.equal(bench.fate(live, 1), 'repeats 4');
  t.equal(bench.fate(bulk, 3), 'conflict 0');
  t.notOk(bench.content.isPending, 'all settled');
  t.end();
});

t.test('who brings no time gets that of the log, on disk; all others keep theirs', (t) => {
  const bench = new FrameBench({ bulk: 16, firstCursor: -1 });
  bench.push(bench.live, { productId: 'l0', occurredAtMs: 7, key: 'A' });
  bench.push(bench.live, { productId: 'l1', occurredAtMs: 8, key: 'A' });
  bench.push(bench.live, { productId: 'l2', occurredAtMs: 9, isArrival: true });
  bench.push(bench.bulk, { productId: 'b0', occurredAtMs: 0, isArrival: true, key: 'B' });
  bench.push(bench.bulk, { productId: 'b1', occurredAtMs: 10 });
  bench.push(bench.bulk, { occurredAtMs: 11, receipt: { key: 'C', events: 3 } });
  t.equal(bench.commit(), 5);
  const times = [0, 1, 2, 3, 4].map(
    (i) => bench.frame.doubles[i * SLOT_DOUBLES + SLOT_OCCURRED_AT],
  );
  t.same(times, [7, NOW_MS, NOW_MS, 10, 11]);
  t.end();
});

t.test('what a successor finds marked is decided anew', (t) => {
  const bench = new FrameBench();
  bench.push(bench.live, { productId: 'a', key: 'A' });
  bench.commit();
  bench.push(bench.live, { productId: 'a', key: 'A' });
  bench.content.claim(Number.POSITIVE_INFINITY);
  bench.content.number(bench.nextSeq, NOW_MS);
  t.equal(bench.fate(bench.live, 1), 'repeats 1');
  // The thread dies, and the window has forgotten the key meanwhile.
  const window = new DedupeWindow(DedupeWindow.create(1000), KEY);
  const successor = new FrameContent({ live: bench.live, bulk: bench.bulk }, window);
  successor.claim(100);
  successor.number(bench.nextSeq, NOW_MS);
  t.equal(bench.fate(bench.live, 1), '2');
  t.end();
});

t.test(`order is kept within each ring, whatever room there is (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const bench = new FrameBench({ bulk: 64, firstCursor: 2 ** 31 - 300 });
  const pushed = { live: 0, bulk: 0 };
  const seen = { live: 0, bulk: 0 };
  for (let round = 0; round < 2000; round++) {
    for (const name of ['live', 'bulk'] as const) {
      const ring = bench[name];
      const inFlight = (ring.cursors[INTAKE_HEAD] - ring.cursors[INTAKE_TAIL]) | 0;
      for (let n = random.below(ring.capacity - inFlight + 1); n > 0; n--) {
        // Some come twice in a row: the second one is dropped.
        const event = { productId: `${name} ${pushed[name]++}` };
        const key = random.chance(0.2) ? { key: event.productId } : {};
        bench.push(ring, { ...event, ...key });
        if ('key' in key && n > 1) {
          bench.push(ring, { ...event, ...key });
          n--;
        }
      }
    }
    const first = bench.nextSeq;
    const kept = bench.commit(random.integer(1, 100));
    for (let i = 0; i < kept; i++) {
      const { seq, productId } = describeSlot(bench.frame, i);
      const name = productId.startsWith('live') ? 'live' : 'bulk';
      if (seq !== first + i || productId !== `${name} ${seen[name]++}`) {
        t.fail(`round ${round}: ${productId} as ${seq}`);
      }
    }
  }
  t.ok(seen.live > 5000 && seen.bulk > 5000, JSON.stringify(seen));
  t.end();
});
