/**
 * The history's file against a plain list of all that was said: events of every kind in any order, in
 * transactions of any size, some of them lost and done again.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { HistoryPruning } from '../../src/history/history-pruning.ts';
import { HistoryReader } from '../../src/history/history-reader.ts';
import { HISTORY_MIGRATIONS } from '../../src/history/history-schema.ts';
import { type HistoryEvent, HistoryWriter } from '../../src/history/history-writer.ts';
import { FIELDS, type HistoryField, type Mark, WHOLE } from '../../src/history/mark.ts';
import { RUN_MARKS_MAX } from '../../src/history/run.ts';
import { Database } from '../../src/sqlite/database.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { retailEvents } from '../helpers/models/retail-data.ts';
import { changesOf, markAt } from './history-model.ts';

const seed = testSeed();
const IDS = ['a', 'b', 'ü/ö'];

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

class HistoryFile {
  readonly path: string;
  readonly database: Database;
  readonly writer: HistoryWriter;
  readonly reader: HistoryReader;

  constructor(path: string) {
    this.path = path;
    this.database = new Database({ path, busyMs: 1000, flush: 'normal' });
    this.database.migrate(HISTORY_MIGRATIONS);
    this.writer = new HistoryWriter(this.database);
    this.reader = new HistoryReader(path);
  }

  close(): void {
    this.reader.close();
    this.database.close();
  }

  /** The whole history of a field, in pages. */
  changes(id: string, field: HistoryField, limit: number): Mark[] {
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
      const { found } = this.reader.answer(ask);
      if (found === undefined) return all;
      all.push(...found.entries);
      if (!found.hasMore) return all;
      afterMs = found.entries.at(-1)?.atMs;
    }
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

t.test(`any events in any transactions (seed ${seed})`, (t) => {
  const folder = tempDir(t);
  let files = 0;
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 4, arbitrary: saidOf }, delistOf), { maxLength: 120 }),
      fc.infiniteStream(fc.integer({ min: 0, max: 9 })),
      fc.integer({ min: 1, max: 7 }),
      (all, dice, limit) => {
        const file = new HistoryFile(join(folder, `${files++}.sqlite`));
        const model = new ModelHistory();
        const roll = () => dice.next().value as number;
        let from = 0;
        for (const [i, said] of all.entries()) {
          model.say(i + 1, said);
          file.writer.take(eventOf(i + 1, said));
          if (roll() > 2) continue;
          if (roll() > 7) {
            file.writer.rollBack();
            for (let j = from; j <= i; j++) file.writer.take(eventOf(j + 1, all[j]));
          }
          file.writer.commit(i + 1);
          from = i + 1;
        }
        file.writer.commit(all.length);
        for (const id of IDS) {
          for (const field of FIELDS) {
            const marks = model.marks(id, field);
            assert.deepEqual(file.changes(id, field, limit), changesOf(marks), `${id} ${field}`);
            for (const atMs of [0, 3.25, 7, 100]) {
              const { found } = file.reader.answer({ kind: 'state', id, atMs });
              assert.deepEqual(found?.[field], markAt(marks, atMs), `${id} ${field} at ${atMs}`);
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
              assert.deepEqual(file.reader.answer(page).found?.entries ?? [], expected);
            }
          }
        }
        file.close();
      },
    ),
    { seed, numRuns: 150 },
  );
  t.pass();
  t.end();
});

t.test(`a year of a shop in any order is one history (seed ${seed})`, (t) => {
  const folder = tempDir(t);
  const random = new Random(seed);
  const events = retailEvents()
    .slice(0, 6000)
    .map(
      (event): Said => ({
        id: event.product_id,
        price: event.price,
        stock: event.stock,
        atMs: Date.parse(String(event.occurred_at)),
        isArrival: false,
        expectedSeq: 0,
      }),
    );
  const ids = [...new Set(events.map(({ id }) => id))];
  const historyOf = (name: string, said: readonly Said[]) => {
    const file = new HistoryFile(join(folder, name));
    for (const [i, each] of said.entries()) {
      file.writer.take(eventOf(i + 1, each));
      if (i % 2000 === 1999) file.writer.commit(i + 1);
    }
    file.writer.commit(said.length);
    const values = ids.map((id) =>
      FIELDS.map((field) => file.changes(id, field, 1000).map(({ atMs, value }) => [atMs, value])),
    );
    file.close();
    return JSON.stringify(values);
  };
  const model = JSON.stringify(
    ids.map((id) =>
      FIELDS.map((field) => {
        const own = events.filter((event) => event.id === id);
        const marks = own.map((event, i) => ({
          atMs: event.atMs,
          seq: i,
          value: event[field] ?? null,
        }));
        return changesOf(marks).map(({ atMs, value }) => [atMs, value]);
      }),
    ),
  );
  t.ok(historyOf('in-order', events) === model, 'in order');
  t.ok(historyOf('reversed', events.toReversed()) === model, 'the newest first');
  t.ok(historyOf('shuffled', random.shuffled(events)) === model, 'shuffled');
  t.end();
});

t.test('equal neighbours are one row, and split where a late event comes between', (t) => {
  const file = new HistoryFile(join(tempDir(t), 'history.sqlite'));
  t.teardown(() => file.close());
  const say = (seq: number, atMs: number, price: number) => {
    file.writer.take(
      eventOf(seq, { id: 'a', price, stock: undefined, atMs, isArrival: false, expectedSeq: 0 }),
    );
    file.writer.commit(seq);
  };
  const rows = () => Number(file.database.prepare('SELECT count(*) AS n FROM runs').get()?.n);
  for (let i = 1; i <= RUN_MARKS_MAX; i++) say(i, i * 10, 5);
  t.equal(rows(), 1);
  say(101, 35, 7);
  t.strictSame(
    file.changes('a', 'price', 10).map(({ atMs, value }) => [atMs, value]),
    [
      [10, 5],
      [35, 7],
      [40, 5],
    ],
  );
  t.equal(rows(), 3);
  say(102, 35, 5);
  t.equal(rows(), 2, 'one more than the runs of a row that is full');
  t.equal(file.changes('a', 'price', 10).length, 1);
  t.end();
});

t.test('what is not kept any more goes; what was in force at the horizon stays', (t) => {
  const file = new HistoryFile(join(tempDir(t), 'history.sqlite'));
  t.teardown(() => file.close());
  let seq = 0;
  const say = (id: string, atMs: number, price: number | null, stock: number | null) => {
    file.writer.take(eventOf(++seq, { id, price, stock, atMs, isArrival: false, expectedSeq: 0 }));
  };
  for (const at of [10, 20, 30, 40]) say('a', at, at, 1);
  say('young', 35, 5, 5);
  say('gone', 5, 1, 1);
  say('gone', 15, null, null);
  file.writer.commit(seq);
  const pruning = new HistoryPruning(file.database);
  pruning.begin(25);
  while (pruning.isUnderWay) pruning.step();
  file.writer.rollBack();
  const ask = (id: string) =>
    file.reader.answer({
      kind: 'page',
      id,
      field: 'price',
      fromMs: WHOLE,
      toMs: Infinity,
      afterMs: undefined,
      limit: 9,
    });
  t.strictSame(
    ask('a').found?.entries.map(({ atMs }) => atMs),
    [20, 30, 40],
  );
  t.equal(ask('a').found?.wholeFromMs, 20);
  t.equal(ask('young').found?.wholeFromMs, WHOLE);
  t.equal(ask('gone').found, undefined, 'a product that was delisted before the horizon');
  say('gone', 50, 2, 2);
  file.writer.commit(seq);
  t.equal(ask('gone').found?.wholeFromMs, 25, 'comes back, and is whole from the horizon');
  t.end();
});
