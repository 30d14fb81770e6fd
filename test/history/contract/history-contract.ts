/**
 * What every history must do, wherever it is kept: against a plain list of all that was said, events of every kind
 * in any order, in transactions of any size; the cases of prior prices; pruning; gaps. Run on both by the tests
 * beside and in test/system-tools. Tests only.
 * (Over 300 lines: one contract.)
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { HistoryPage, PastState } from '../../../src/history/history-messages.ts';
import { HistoryReader } from '../../../src/history/history-reader.ts';
import {
  type HistoryReads,
  type HistoryStore,
  HistoryTakenError,
} from '../../../src/history/history-store.ts';
import { type HistoryEvent, HistoryWriter } from '../../../src/history/history-writer.ts';
import { FIELDS, type HistoryField, type Mark, WHOLE } from '../../../src/history/mark.ts';
import { RUN_MARKS_MAX } from '../../../src/history/run.ts';
import { polled } from '../../helpers/bounded.ts';
import { testSeed } from '../../helpers/models/random.ts';
import { changesOf, markAt } from '../history-model.ts';
import { atDay, CASES, expectedOf, permutations } from '../prior-price-cases.ts';

const seed = testSeed();
const WAIT_MS_MAX = 60_000;
const IDS = ['a', 'b', 'ü/ö'];

/** Without anything special. */
const PLAIN = { isArrival: false, expectedSeq: 0 } as const;

interface Said {
  readonly id: string;
  readonly price: number | null | undefined;
  readonly stock: number | null | undefined;
  readonly atMs: number;
  readonly isArrival: boolean;
  readonly expectedSeq: number;
}

/** All marks of a product's field, as the events say them one after the other. */
class ModelHistory {
  readonly #marks = new Map<string, Mark[]>();
  readonly #versions = new Map<string, number>();

  marks(id: string, field: HistoryField): Mark[] {
    const key = JSON.stringify([id, field]);
    const known = this.#marks.get(key) ?? [];
    this.#marks.set(key, known);
    return known;
  }

  value(id: string, field: HistoryField, atMs = Number.POSITIVE_INFINITY): number | null {
    return markAt(this.marks(id, field), atMs)?.value ?? null;
  }

  say(seq: number, { id, price, stock, atMs, isArrival, expectedSeq }: Said): void {
    const isListed = FIELDS.some((field) => this.value(id, field) !== null);
    if (expectedSeq === -2 && isListed) return;
    if (expectedSeq === -1 && !isListed) return;
    if (expectedSeq > 0 && !(isListed && this.#versions.get(id) === expectedSeq)) return;
    for (const [field, value] of [
      ['price', price],
      ['stock', stock],
    ] as const) {
      if (value === undefined) continue;
      const marks = this.marks(id, field);
      const latest = Math.max(WHOLE, ...marks.map((mark) => mark.atMs));
      const at = isArrival ? Math.max(atMs, latest) : atMs;
      if (at >= latest) this.#versions.set(id, seq);
      marks.push({ atMs: at, seq, value });
    }
  }
}

/** A history of the test's own, empty. */
export interface HistoryWorld {
  /** The writer's end; it is not open yet. */
  makeStore(): HistoryStore;
  makeReads(): HistoryReads;
  /** How many rows of values it has. */
  runs(): Promise<number>;
}

class Kept {
  readonly store: HistoryStore;
  readonly writer: HistoryWriter;
  readonly reader: HistoryReader;
  readonly runs: () => Promise<number>;

  private constructor(world: HistoryWorld) {
    this.store = world.makeStore();
    this.writer = new HistoryWriter(this.store);
    this.reader = new HistoryReader(world.makeReads());
    this.runs = () => world.runs();
  }

  static async open(world: HistoryWorld): Promise<Kept> {
    const kept = new Kept(world);
    await kept.writer.open();
    return kept;
  }

  async close(): Promise<void> {
    await this.reader.close();
    await this.store.close();
  }

  /** The whole history of a field, in pages. */
  async changes(id: string, field: HistoryField, limit: number): Promise<Mark[]> {
    const all: Mark[] = [];
    for (let afterMs: number | undefined; ; ) {
      const ask = {
        kind: 'page',
        id,
        field,
        fromMs: WHOLE,
        toMs: Infinity,
        afterMs,
        limit,
      } as const;
      const { found } = await this.reader.answer(ask);
      if (found === undefined) return all;
      all.push(...found.entries);
      if (!found.hasMore) return all;
      afterMs = found.entries.at(-1)?.atMs;
    }
  }

  async page(id: string, field: HistoryField): Promise<HistoryPage | undefined> {
    const ask = {
      kind: 'page',
      id,
      field,
      fromMs: WHOLE,
      toMs: Infinity,
      afterMs: undefined,
      limit: 99,
    } as const;
    return (await this.reader.answer(ask)).found;
  }

  async state(id: string, atMs: number): Promise<PastState | undefined> {
    return (await this.reader.answer({ kind: 'state', id, atMs })).found;
  }
}

function eventOf(seq: number, { id, atMs, ...said }: Said): HistoryEvent {
  return { ...said, seq, productId: id, occurredAtMs: atMs, isJudged: false };
}

const small = fc.integer({ min: 0, max: 3 });
const saidOf: fc.Arbitrary<Said> = fc.record({
  id: fc.constantFrom(...IDS),
  price: fc.oneof(small, fc.constant(undefined)),
  stock: fc.oneof(small, fc.constant(undefined)),
  // Few moments, so that many fall together.
  atMs: fc.integer({ min: 0, max: 60 }).map((at) => at / 4),
  isArrival: fc.boolean(),
  expectedSeq: fc.constantFrom(0, 0, 0, 0, -1, -2, 1, 3),
});
const delistOf = saidOf.map((said): Said => ({ ...said, price: null, stock: null }));

/** `runs`: how many histories the model check makes. */
export function describeHistory(
  name: string,
  makeWorld: (t: Test) => Promise<HistoryWorld>,
  runs: number,
): void {
  const open = async (t: Test) => {
    const kept = await Kept.open(await makeWorld(t));
    t.teardown(() => kept.close());
    return kept;
  };

  t.test(`${name}: any events in any transactions (seed ${seed})`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof({ weight: 4, arbitrary: saidOf }, delistOf), { maxLength: 120 }),
        fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
        fc.integer({ min: 1, max: 7 }),
        async (all, dice, limit) => {
          const kept = await Kept.open(await makeWorld(t));
          try {
            await checkEvents(kept, all, () => dice.next().value as number, limit);
          } finally {
            await kept.close();
          }
        },
      ),
      { seed, numRuns: runs },
    );
  });

  t.test(`${name}: the cases of prior prices, in every order of delivery`, async (t) => {
    const kept = await open(t);
    let seq = 0;
    for (const [
      n,
      { name, said, days = 30, gradual = false, wholeFrom, expected },
    ] of CASES.entries()) {
      // What the history begins with is the end of a gap.
      const first = wholeFrom === undefined ? undefined : said[0];
      const rest = said.slice(first === undefined ? 0 : 1);
      for (const [o, order] of permutations(rest).entries()) {
        const id = `${n}-${o}`;
        if (first !== undefined) {
          const [day, price] = first;
          const priceAtMs = atDay(day);
          const present = { id, seq: ++seq, price, priceAtMs, stock: 1, stockAtMs: priceAtMs };
          await kept.writer.takePresent([present], { atMs: atDay(999), seq, hasForgotten: false });
        }
        // Of a product that has no price, so that it is listed.
        const listing = { id, price: undefined, stock: 1, atMs: atDay(0), ...PLAIN };
        const events = order.map(([day, price]) => ({ ...listing, price, atMs: atDay(day) }));
        await kept.writer.take([listing, ...events].map((each) => eventOf(++seq, each)));
        await kept.writer.commit(seq);
        const rule = { days, gradual };
        const { found } = await kept.reader.answer({ kind: 'prior', ids: [id], rule });
        const { id: _, version: __, ...prior } = found[0] ?? { id: '', version: 0 };
        t.same(prior, expectedOf(expected), `${name}, ${JSON.stringify(order)}`);
      }
    }
  });

  t.test(`${name}: equal neighbours are one row, and split by a late event`, async (t) => {
    const kept = await open(t);
    const say = async (seq: number, atMs: number, price: number) => {
      await kept.writer.take([eventOf(seq, { id: 'a', price, stock: undefined, atMs, ...PLAIN })]);
      await kept.writer.commit(seq);
    };
    for (let i = 1; i <= RUN_MARKS_MAX; i++) await say(i, i * 10, 5);
    t.equal(await kept.runs(), 1);
    await say(101, 35, 7);
    t.strictSame(
      (await kept.changes('a', 'price', 10)).map(({ atMs, value }) => [atMs, value]),
      [
        [10, 5],
        [35, 7],
        [40, 5],
      ],
    );
    t.equal(await kept.runs(), 3);
    await say(102, 35, 5);
    t.equal(await kept.runs(), 2, 'one more than the runs of a row that is full');
    t.equal((await kept.changes('a', 'price', 10)).length, 1);
    for (const [seq, atMs, price] of [
      [201, 1010, 8],
      [202, 1020, 9],
      [203, 1030, 6],
    ]) {
      await say(seq, atMs, price);
    }
    t.equal(await kept.runs(), 5);
    await say(204, 1020, 8);
    t.equal(await kept.runs(), 4, 'said anew for the same moment: one with the run before');
    await say(205, 1020, 6);
    t.equal(await kept.runs(), 4, 'one with the run behind');
    t.strictSame(
      (await kept.changes('a', 'price', 10)).map(({ atMs, value }) => [atMs, value]),
      [
        [10, 5],
        [1010, 8],
        [1020, 6],
      ],
    );
  });

  t.test(`${name}: what is not kept goes; what was in force at the horizon stays`, async (t) => {
    const kept = await open(t);
    let seq = 0;
    const say = async (id: string, atMs: number, price: number | null, stock: number | null) => {
      await kept.writer.take([eventOf(++seq, { id, price, stock, atMs, ...PLAIN })]);
    };
    for (const at of [10, 20, 30, 40]) await say('a', at, at, 1);
    await say('young', 35, 5, 5);
    await say('gone', 5, 1, 1);
    await say('gone', 15, null, null);
    await kept.writer.commit(seq);
    for (let last: number | undefined = 0; last !== undefined; ) {
      last = await kept.writer.prune(25, last);
    }
    const a = await kept.page('a', 'price');
    t.strictSame(
      a?.entries.map(({ atMs }) => atMs),
      [20, 30, 40],
    );
    t.equal(a?.wholeFromMs, 20);
    t.equal(
      (await kept.page('a', 'stock'))?.entries.length,
      1,
      'the same said again, before and after',
    );
    t.equal((await kept.page('young', 'price'))?.wholeFromMs, WHOLE);
    t.equal(await kept.page('gone', 'price'), undefined, 'delisted before the horizon');
    await say('gone', 50, 2, 2);
    await kept.writer.commit(seq);
    t.equal(
      (await kept.page('gone', 'price'))?.wholeFromMs,
      25,
      'back, and whole from the horizon',
    );
    await kept.writer.open();
    await say('new', 60, 2, 2);
    await kept.writer.commit(seq);
    t.equal((await kept.page('new', 'price'))?.wholeFromMs, 25, 'the horizon is kept, too');
  });

  t.test(`${name}: more than is read at a time`, async (t) => {
    const kept = await open(t);
    const events = Array.from({ length: 700 }, (_, n) =>
      eventOf(n + 1, { id: 'a', price: 10 + (n % 2), stock: n, atMs: atDay(n / 100), ...PLAIN }),
    );
    await kept.writer.take([
      ...events,
      eventOf(701, { id: 'a', price: 5, stock: 1, atMs: atDay(8), ...PLAIN }),
    ]);
    await kept.writer.commit(701);
    const rule = { days: 30, gradual: false };
    const { found, place } = await kept.reader.answer({ kind: 'prior', ids: ['b', 'a'], rule });
    t.equal(place, 701);
    t.match(found, [
      undefined,
      { id: 'a', price: 5, reduction: { priorPrice: 10, isYounger: true } },
    ]);
    t.equal((await kept.changes('a', 'price', 1000)).length, 701);
    t.match(await kept.state('a', atDay(3)), { stock: { value: 300 }, version: 701 });
  });

  t.test(
    `${name}: at the end of a gap it says what the store says, and what it can't know`,
    async (t) => {
      const kept = await open(t);
      const say = (seq: number, id: string, price: number | null, atMs: number) =>
        eventOf(seq, { id, price, stock: 1, atMs, ...PLAIN });
      await kept.writer.take([
        say(1, 'same', 100, 10),
        say(2, 'dearer', 100, 10),
        say(3, 'gone', 100, 10),
        say(4, 'back', 100, 50),
        eventOf(5, { id: 'stock', price: undefined, stock: 1, atMs: 10, ...PLAIN }),
      ]);
      await kept.writer.commit(5);
      const gap = { atMs: 90, seq: 20, hasForgotten: true };
      kept.writer.raisePruned(gap.atMs);
      const present = (id: string, seq: number, price: number | null, at: number) => {
        return { id, seq, price, priceAtMs: at, stock: 1, stockAtMs: at };
      };
      const listed = (await kept.store.findListed(0, 99)).map(({ id }) => id);
      t.strictSame(listed, ['same', 'dearer', 'gone', 'back', 'stock']);
      await kept.writer.takeGone(['gone'], gap);
      const never = Number.NEGATIVE_INFINITY;
      await kept.writer.takePresent(
        [
          present('same', 1, 100, 10),
          present('dearer', 12, 120, 60),
          present('back', 13, 90, 40),
          { ...present('stock', 5, null, never), stockAtMs: 10 },
          present('forgotten', 14, null, never),
          present('new', 15, 7, 70),
        ],
        gap,
      );
      await kept.writer.commit(20);
      const told = async (id: string) => {
        const page = await kept.page(id, 'price');
        return page && [page.entries.map(({ atMs, value }) => [atMs, value]), page.wholeFromMs];
      };
      t.strictSame(await told('same'), [[[10, 100]], 10], 'only an older event can be missing');
      t.strictSame(await told('dearer'), [
        [
          [10, 100],
          [60, 120],
        ],
        60,
      ]);
      t.strictSame(
        await told('gone'),
        [
          [
            [10, 100],
            [90, null],
          ],
          90,
        ],
        'a delisting is not hidden',
      );
      t.strictSame(await told('back'), [
        [
          [40, 90],
          [50, 100],
          [90, 90],
        ],
        90,
      ]);
      t.strictSame(await told('stock'), [[], WHOLE], 'never said, before and after');
      t.strictSame(await told('new'), [[[70, 7]], 70]);
      t.equal(await told('forgotten'), undefined);
      const rule = { days: 30, gradual: false };
      const { found } = await kept.reader.answer({ kind: 'prior', ids: ['dearer', 'gone'], rule });
      t.match(
        found[0],
        { price: 120, reduction: undefined, isWhole: false },
        'it may have been dearer',
      );
      t.match((await kept.state('gone', 95))?.price, { value: null });
      // What followed the gap is in the log, from before the walk of the store: some of it comes again.
      await kept.writer.take([
        say(15, 'new', 7, 70),
        say(21, 'later', 3, 95),
        say(22, 'dearer', 110, 96),
      ]);
      await kept.writer.commit(22);
      t.strictSame(await told('new'), [[[70, 7]], 70]);
      t.strictSame(
        await told('later'),
        [[[95, 3]], 90],
        'it may have been there before, and forgotten',
      );
      t.strictSame(await told('dearer'), [
        [
          [10, 100],
          [60, 120],
          [96, 110],
        ],
        60,
      ]);
    },
  );

  t.test(`${name}: goes on from its place; what was not committed is not there`, async (t) => {
    const world = await makeWorld(t);
    const first = await Kept.open(world);
    await first.writer.take([eventOf(7, { id: 'a', price: 1, stock: 1, atMs: 5, ...PLAIN })]);
    await first.writer.commit(7);
    await first.writer.take([eventOf(8, { id: 'a', price: 2, stock: 1, atMs: 6, ...PLAIN })]);
    await first.close();
    const again = await Kept.open(world);
    t.teardown(() => again.close());
    t.equal(again.writer.place, 7);
    t.equal((await again.page('a', 'price'))?.entries.length, 1);
    t.equal(await again.store.flush(), true);
    await again.store.beat();
  });
}

/** Its own session may hold the lock for a moment yet, on a busy machine for a long one. */
async function openAgain(writer: HistoryWriter): Promise<void> {
  await polled(
    async () => {
      try {
        await writer.open();
        return true;
      } catch (error) {
        if (error instanceof HistoryTakenError) return undefined;
        throw error;
      }
    },
    WAIT_MS_MAX,
    'the lock to be free',
  );
}

/** Writes `all` in transactions of any size, some lost and done again; compares with the model. */
async function checkEvents(
  kept: Kept,
  all: readonly Said[],
  roll: () => number,
  limit: number,
): Promise<void> {
  const { writer } = kept;
  const model = new ModelHistory();
  let from = 0;
  for (const [i, said] of all.entries()) {
    model.say(i + 1, said);
    await writer.take([eventOf(i + 1, said)]);
    if (roll() > 2) continue;
    if (roll() > 7) {
      await openAgain(writer);
      await writer.take(all.slice(from, i + 1).map((each, n) => eventOf(from + n + 1, each)));
    }
    await writer.commit(i + 1);
    from = i + 1;
  }
  await writer.commit(all.length);
  for (const id of IDS) {
    for (const field of FIELDS) {
      const marks = model.marks(id, field);
      assert.deepEqual(await kept.changes(id, field, limit), changesOf(marks), `${id} ${field}`);
      for (const atMs of [0, 3.25, 7, 100]) {
        const state = await kept.state(id, atMs);
        assert.deepEqual(state?.[field], markAt(marks, atMs), `${id} ${field} at ${atMs}`);
        const page = {
          kind: 'page',
          id,
          field,
          fromMs: atMs,
          toMs: 9,
          afterMs: undefined,
          limit: 99,
        } as const;
        const expected = changesOf(marks).filter((mark, n, changes) => {
          const end = changes[n + 1]?.atMs ?? Infinity;
          return mark.atMs < 9 && end > atMs;
        });
        assert.deepEqual((await kept.reader.answer(page)).found?.entries ?? [], expected);
      }
    }
  }
}
