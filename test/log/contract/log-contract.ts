/**
 * What every log keeps to, described from outside: `logContract` runs it on one. How it is stored, and
 * what happens when that fails, is for the tests of that log. Tests only. (Over 300 lines:
 * one list of what must hold.)
 */
import t, { type Test } from 'tap';
import { DedupeWindow } from '../../../src/dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../../../src/dedupe/receipt-window.ts';
import { CommitPublisher } from '../../../src/log/commit-publisher.ts';
import type { EventLog, KeptLog, LogHistory } from '../../../src/log/event-log.ts';
import { LogHolds } from '../../../src/log/log-holds.ts';
import { ProposedShares } from '../../../src/replication/proposed-shares.ts';
import { COMMIT_CLOSED, COMMIT_HEAD, CommitRing } from '../../../src/ring/commit-ring.ts';
import {
  INTAKE_HEAD,
  INTAKE_STOP,
  INTAKE_TAIL,
  IntakeRing,
  type IntakeRings,
  publishHead,
} from '../../../src/ring/intake-ring.ts';
import { LogProgress, progressBytes } from '../../../src/ring/progress.ts';
import {
  describeSlot,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  type SlotContent,
  SlotViews,
} from '../../../src/ring/slot.ts';
import { type PlainEvent, putEvent } from '../../helpers/models/plain-event.ts';
import { Random, testSeed } from '../../helpers/models/random.ts';

export const HASH_KEY = { k0: 1, k1: 2 };
export const NOW_MS = 1_700_000_000_000;
const LIVE_SLOTS = 16;
const BULK_SLOTS = 64;
const COMMIT_SLOTS = 1024;
const SLICE = 7;
const seed = testSeed();

/** One process's shared memory, as far as a log sees it. The appliers are always caught up. */
export class LogMemory {
  readonly intakes: Required<IntakeRings>;
  /** Of a replicated log. */
  readonly shares: ProposedShares;
  readonly ring = CommitRing.create(COMMIT_SLOTS, 0);
  readonly dedupe = new DedupeWindow(DedupeWindow.create(1000), HASH_KEY);
  readonly receipts = new ReceiptWindow(ReceiptWindow.createFor(8), HASH_KEY);
  readonly progress: LogProgress;

  /** Of a process with so many threads that take events in. */
  constructor(producers = 1) {
    const [first, ...further] = Array.from({ length: producers }, () => ({
      live: IntakeRing.create(LIVE_SLOTS),
      bulk: IntakeRing.create(BULK_SLOTS),
    }));
    if (first === undefined) throw new Error('one at the least');
    this.intakes = { ...first, further };
    const rings = 2 * producers;
    this.shares = new ProposedShares(ProposedShares.create(rings), rings);
    this.progress = this.createProgress(new SharedArrayBuffer(progressBytes(producers - 1)));
  }

  protected createProgress(buffer: SharedArrayBuffer): LogProgress {
    return new LogProgress(buffer);
  }

  /** The log thread's end of the commit ring. */
  publisher(): CommitPublisher {
    return new CommitPublisher(this.ring);
  }
}

/** An open log, seen from each of its ends. */
export interface OpenedLog {
  readonly log: EventLog;
  readonly history: LogHistory;
  readonly kept: KeptLog;
}

export interface LogUnderTest {
  /** A new process opens it, with the state before seq `from` known from elsewhere. */
  readonly open: (memory: LogMemory, from: number) => OpenedLog;
  /** Its thread has died; the successor goes on in the same memory. */
  readonly takeOver: (memory: LogMemory) => OpenedLog;
}

type Event = Partial<Omit<PlainEvent, 'seq'>>;
type Ring = 'live' | 'bulk';

/** A process that has the log open, and pushes events. */
class Life {
  readonly memory = new LogMemory();
  readonly #under: LogUnderTest;
  #opened: OpenedLog;

  constructor(under: LogUnderTest, from = 1) {
    this.#under = under;
    this.#opened = under.open(this.memory, from);
  }

  get log(): EventLog {
    return this.#opened.log;
  }

  get kept(): KeptLog {
    return this.#opened.kept;
  }

  /** Claims a slot; returns its cursor. */
  push(ring: Ring, event: Event): number {
    const { intakes } = this.memory;
    const { cursors, slots, mask } = intakes[ring];
    const head = cursors[INTAKE_HEAD];
    const whole = { seq: 0, productId: 'p', price: 1, stock: 2, occurredAtMs: 3, ...event };
    putEvent(slots, head & mask, whole, HASH_KEY);
    publishHead(intakes[ring], head + 1, intakes.live);
    return head;
  }

  /** Pushes and commits events in batches of `batch`, prices counted from `price` on. */
  fill(count: number, price: number, batch = LIVE_SLOTS): void {
    for (let i = 0; i < count; i++) {
      this.push('live', { productId: `p${price + i}`, price: price + i });
      if ((i + 1) % batch === 0 || i === count - 1) this.commit();
    }
  }

  commit(): void {
    if (!this.log.commitPending()) throw new Error('it gave up');
  }

  /** Settled slots of a ring, as a cursor. */
  tail(ring: Ring): number {
    return this.memory.intakes[ring].cursors[INTAKE_TAIL];
  }

  /** What a settled slot says: its seq, and what it is marked as. */
  fate(ring: Ring, cursor: number): string {
    const { slots, mask } = this.memory.intakes[ring];
    const index = cursor & mask;
    const meta = slots.words[index * SLOT_WORDS + SLOT_META];
    if ((meta & FLAG_CONFLICT) !== 0) return 'conflict';
    const seq = slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ];
    return (meta & FLAG_DUPLICATE) !== 0 ? `repeats ${seq}` : `${seq}`;
  }

  /** What was handed to the appliers, in order. */
  get handedOn(): SlotContent[] {
    const { cursors, slots, mask } = this.memory.ring;
    const head = Atomics.load(cursors, COMMIT_HEAD);
    return Array.from({ length: head }, (_, cursor) => describeSlot(slots, cursor & mask));
  }

  /** The thread dies; its successor goes on. */
  die(): void {
    this.#opened = this.#under.takeOver(this.memory);
  }

  /** Everything from `from` on, read as the feed does; 'gone' if the log does not reach back. */
  async since(from: number): Promise<SlotContent[] | 'gone'> {
    const cursor = this.#opened.history.open();
    const until = this.log.nextSeq - 1;
    const slots = new SlotViews(new ArrayBuffer(SLICE * SLOT_BYTES), 0, SLICE);
    const events: SlotContent[] = [];
    try {
      for (let seq = from; seq <= until; ) {
        const count = cursor.copy(seq, until, slots);
        for (let i = 0; i < count; i++) events.push(describeSlot(slots, i));
        seq += count;
        if (count === 0 && (await cursor.load(seq)) === 'gone') return 'gone';
      }
      return events;
    } finally {
      cursor.close();
    }
  }

  /** The first seq that is still there. */
  async firstSeq(): Promise<number> {
    let from = 1;
    while ((await this.since(from)) === 'gone') from++;
    return from;
  }

  /** Lets go of all before `before` that nothing else asks for. */
  release(before: number, retention: { bytes: number } | { ageMs: number }, holds?: LogHolds) {
    const rule = { retention, holds, nowMs: NOW_MS + 10, goOn: () => true };
    return this.kept.release(before, rule).segments;
  }

  /** Asks for a stop and lets it work until then. */
  stop(): boolean {
    Atomics.store(this.memory.intakes.live.cursors, INTAKE_STOP, 1);
    return this.log.run();
  }
}

const seqs = (events: readonly SlotContent[] | 'gone') =>
  events === 'gone' ? events : events.map(({ seq }) => seq);
const upTo = (count: number, from = 1) => Array.from({ length: count }, (_, i) => from + i);

/** Runs the contract on logs that `make` makes, an empty one for each test. */
export function logContract(name: string, make: (t: Test) => LogUnderTest): void {
  const test = (what: string, run: (t: Test, life: Life, under: LogUnderTest) => unknown) =>
    t.test(`${name}: ${what}`, async (t) => {
      const under = make(t);
      await run(t, new Life(under), under);
    });

  test('is empty at first, and does nothing where nothing is pending', async (t, life) => {
    t.equal(life.log.nextSeq, 1);
    t.match(life.memory.progress.load(), { nextSeq: 1, commitHead: 0, liveTail: 0, bulkTail: 0 });
    t.equal(life.log.commitPending(), true);
    t.equal(life.log.idle(), true, 'there is nothing to do but to wait');
    t.equal(life.log.nextSeq, 1);
    t.strictSame(life.handedOn, []);
    t.strictSame(await life.since(1), []);
  });

  test('gives the order, settles, hands on', (t, life) => {
    const bulk = upTo(3).map((n) => life.push('bulk', { productId: `b${n}` }));
    const live = upTo(3).map((n) => life.push('live', { productId: `l${n}` }));
    life.commit();
    t.strictSame(
      live.map((cursor) => life.fate('live', cursor)),
      ['1', '2', '3'],
      'single events first',
    );
    t.strictSame(
      bulk.map((cursor) => life.fate('bulk', cursor)),
      ['4', '5', '6'],
    );
    t.equal(life.tail('live'), 3);
    t.equal(life.tail('bulk'), 3);
    t.strictSame(
      life.handedOn.map(({ seq, productId }) => `${seq} ${productId}`),
      ['1 l1', '2 l2', '3 l3', '4 b1', '5 b2', '6 b3'],
    );
    t.match(life.memory.progress.load(), { nextSeq: 7, commitHead: 6, liveTail: 3, bulkTail: 3 });
  });

  test('knows repetitions, and keys used for something else', async (t, life) => {
    life.push('live', { key: 'A' });
    life.push('bulk', { key: 'A' });
    life.push('bulk', { key: 'A', price: 9 });
    life.commit();
    t.strictSame(
      [life.fate('live', 0), life.fate('bulk', 0), life.fate('bulk', 1)],
      ['1', 'repeats 1', 'conflict'],
    );
    life.push('live', { key: 'A' });
    life.push('live', { key: 'B' });
    life.commit();
    t.strictSame([life.fate('live', 1), life.fate('live', 2)], ['repeats 1', '2']);
    t.strictSame(seqs(life.handedOn), [1, 2], 'they have no place in the order');
    t.strictSame(seqs(await life.since(1)), [1, 2]);
    life.push('live', { key: 'B' });
    life.commit();
    t.equal(life.fate('live', 3), 'repeats 2', 'a batch of nothing else is settled too');
    t.equal(life.tail('live'), 4);
  });

  test('gives its time to events that have none', async (t, life) => {
    life.push('live', { isArrival: true, occurredAtMs: 0 });
    life.push('live', { occurredAtMs: 77 });
    life.commit();
    const times = (events: readonly SlotContent[]) =>
      events.map(({ occurredAtMs }) => occurredAtMs);
    t.strictSame(times(life.handedOn), [NOW_MS, 77]);
    t.strictSame(times((await life.since(1)) as SlotContent[]), [NOW_MS, 77]);
    t.equal(life.memory.ring.commitTimes[0], NOW_MS);
  });

  test(`a thread that dies is replaced (seed ${seed})`, async (t, life) => {
    const random = new Random(seed);
    let pushed = 0;
    while (pushed < 300) {
      const keyed = (n: number): Event => ({ productId: `p${n}`, price: n, key: `key ${n}` });
      for (let n = random.below(10); n > 0; n--) {
        life.push(random.chance(0.5) ? 'live' : 'bulk', keyed(++pushed));
      }
      if (random.chance(0.3)) life.die();
      life.commit();
      if (random.chance(0.3)) life.die();
    }
    const prices = life.handedOn.map(({ price }) => price as number);
    t.strictSame(
      prices.toSorted((a, b) => a - b),
      upTo(pushed),
      'each event once',
    );
    t.strictSame(seqs(life.handedOn), upTo(pushed), 'without a gap');
    t.strictSame(await life.since(1), life.handedOn, 'and so it is stored');
    t.equal(life.log.nextSeq, pushed + 1);
  });

  test(`gives back what came since any seq (seed ${seed})`, async (t, life) => {
    const random = new Random(seed);
    for (let n = 0; n < 30; n++) life.fill(random.integer(1, 12), 1000 * n);
    const all = life.handedOn;
    for (let n = 0; n < 10; n++) {
      const from = random.integer(1, all.length);
      t.strictSame(await life.since(from), all.slice(from - 1), `since ${from}`);
    }
    t.strictSame(await life.since(all.length + 1), []);
  });

  test('a new process finds all of it and goes on', async (t, life, under) => {
    life.fill(50, 1);
    const all = life.handedOn;
    for (const isClean of [false, true]) {
      if (isClean) t.equal(life.stop(), true);
      const next = new Life(under);
      t.equal(next.log.nextSeq, 51);
      t.strictSame(await next.since(1), all, isClean ? 'after a stop' : 'after a kill');
    }
    const next = new Life(under);
    next.fill(5, 100);
    t.strictSame(seqs(next.handedOn), upTo(5, 51));
    t.strictSame(seqs(await next.since(1)), upTo(55));
  });

  test('stops when everything pending is durable', (t, life) => {
    for (let n = 0; n < LIVE_SLOTS; n++) life.push('live', {});
    for (let n = 0; n < BULK_SLOTS; n++) life.push('bulk', {});
    t.equal(life.stop(), true);
    t.equal(life.tail('live'), LIVE_SLOTS);
    t.equal(life.tail('bulk'), BULK_SLOTS);
    t.equal(life.handedOn.length, LIVE_SLOTS + BULK_SLOTS);
    t.equal(Atomics.load(life.memory.ring.cursors, COMMIT_CLOSED), 1, 'the appliers know it');
  });

  test('keeps what is still needed', async (t, life, under) => {
    life.fill(400, 1);
    t.equal(life.release(1, { bytes: 0 }), 0, 'nothing is covered');
    t.equal(life.release(300, { bytes: 1 << 20 }), 0, 'so much shall be kept');
    t.equal(life.release(300, { ageMs: 1000 }), 0, 'so new, too');
    t.equal(await life.firstSeq(), 1);

    const holds = new LogHolds(LogHolds.create());
    const hold = holds.hold(100, 1 << 20);
    t.ok(life.release(300, { bytes: 0 }, holds) > 0);
    const first = await life.firstSeq();
    t.ok(first > 1 && first <= 100, `somebody needs it from 100 on, it begins at ${first}`);
    t.strictSame(seqs(await life.since(first)), upTo(401 - first, first), 'without a gap');
    hold.advance(200);
    t.ok(life.release(300, { ageMs: 0 }, holds) > 0);
    const second = await life.firstSeq();
    t.ok(second > 100 && second <= 200, `from 200 on: ${second}`);
    t.equal(life.release(300, { bytes: 0 }, holds), 0, 'not twice');
    const stuck = holds.hold(second, 1000);
    hold.end();
    t.ok(life.release(300, { bytes: 0 }, holds) > 0, 'a hold ends at its bound');
    const third = await life.firstSeq();
    t.ok(third > 200 && third <= 300, `what is not covered stays: ${third}`);
    stuck.end();

    const identity = life.kept.identityAt(300);
    t.strictSame(life.kept.identityAt(300), identity);
    const next = new Life(under, 300);
    t.strictSame(next.kept.identityAt(300), identity, 'it is the same log');
    t.strictSame(await next.since(300), life.handedOn.slice(299));
  });

  test('removes piece by piece, as long as it may', async (t, life) => {
    life.fill(400, 1);
    const rule = { retention: { bytes: 0 }, nowMs: NOW_MS + 10 };
    t.equal(life.kept.release(400, { ...rule, goOn: () => false }).segments, 1);
    const first = await life.firstSeq();
    t.ok(life.kept.release(400, { ...rule, goOn: () => true }).segments > 1);
    t.ok((await life.firstSeq()) > first);
  });
}
