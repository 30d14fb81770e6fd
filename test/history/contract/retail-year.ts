/**
 * A year of a shop in any order of delivery is one history: in order, the newest first, and shuffled, each compared
 * with a model of what was said. A slice of the year in the suite; all of it with RETAIL_EVENTS, a file of events a
 * line (perhaps .gz), shuffled by SEEDS (3) seeds: some minutes. Tests only.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { HistoryReader } from '../../../src/history/history-reader.ts';
import type { HistoryStore } from '../../../src/history/history-store.ts';
import { type HistoryEvent, HistoryWriter } from '../../../src/history/history-writer.ts';
import { FIELDS, type HistoryField, type Mark, WHOLE } from '../../../src/history/mark.ts';
import { priorPrice } from '../../../src/history/prior-price.ts';
import type { EventBody } from '../../helpers/clients/api-client.ts';
import { Random, testSeed } from '../../helpers/models/random.ts';
import { retailEvents } from '../../helpers/models/retail-data.ts';
import { changesOf, newestFirst } from '../history-model.ts';
import type { HistoryWorld } from './history-contract.ts';

const FILE = process.env.RETAIL_EVENTS;
const SHUFFLES = FILE === undefined ? 1 : Number(process.env.SEEDS ?? 3);
/** In a transaction, as the history's thread writes them. */
const TAKEN = 16_384;
const PAGE = 1000;
const TIMEOUT_MS = 3_600_000;
const RULE = { days: 30, gradual: false } as const;

function eventsOf(file: string): EventBody[] {
  const bytes = readFileSync(file);
  const lines = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').trimEnd();
  return lines.split('\n').map((line) => JSON.parse(line));
}

/** What is said of each product and field, in the order of event time; all times of one are different. */
function model(events: readonly EventBody[]): Map<string, Record<HistoryField, Mark[]>> {
  const products = new Map<string, Record<HistoryField, Mark[]>>();
  for (const [seq, event] of events.entries()) {
    const known = products.get(event.product_id) ?? { price: [], stock: [] };
    products.set(event.product_id, known);
    for (const field of FIELDS) {
      const value = event[field];
      if (value === undefined) continue;
      known[field].push({ atMs: Date.parse(String(event.occurred_at)), seq, value });
    }
  }
  return products;
}

/** Time and value of each change; seqs are those of the order of delivery. */
function values(marks: readonly Mark[]): (number | null)[][] {
  return marks.map(({ atMs, value }) => [atMs, value]);
}

async function writeAll(
  store: HistoryStore,
  writer: HistoryWriter,
  events: readonly EventBody[],
  taken: number,
): Promise<void> {
  for (let from = 0; from < events.length; from += taken) {
    const some = events.slice(from, from + taken).map(
      (event, n): HistoryEvent => ({
        seq: from + n + 1,
        productId: event.product_id,
        price: event.price,
        stock: event.stock,
        occurredAtMs: Date.parse(String(event.occurred_at)),
        isArrival: false,
        expectedSeq: 0,
        isJudged: true,
      }),
    );
    await writer.take(some);
    await writer.commit(from + some.length);
    await store.flush();
  }
}

async function changesIn(reader: HistoryReader, id: string, field: HistoryField): Promise<Mark[]> {
  const all: Mark[] = [];
  for (let afterMs: number | undefined; ; ) {
    const { found } = await reader.answer({
      kind: 'page',
      id,
      field,
      fromMs: WHOLE,
      toMs: Number.POSITIVE_INFINITY,
      afterMs,
      limit: PAGE,
    });
    if (found === undefined) return all;
    all.push(...found.entries);
    if (!found.hasMore) return all;
    afterMs = found.entries.at(-1)?.atMs;
  }
}

/** The events of those `count` products that have the most. */
function ofBusiest(events: readonly EventBody[], count: number): EventBody[] {
  const all = [...Map.groupBy(events, ({ product_id }) => product_id).values()];
  const busiest = all.sort((a, b) => b.length - a.length).slice(0, count);
  const kept = new Set(busiest.map(([event]) => event.product_id));
  return events.filter(({ product_id }) => kept.has(product_id));
}

export interface RetailYearOptions {
  /** Events in the suite, where the year is not given. */
  readonly slice: number;
  /** Of how many products of them at the most: those with the most events. */
  readonly products?: number;
  /** In a transaction then; several, so that late ones meet what is kept. */
  readonly taken?: number;
}

/** A world for each order of delivery, empty. */
export function describeRetailYear(
  name: string,
  makeWorld: (t: Test) => Promise<HistoryWorld>,
  { slice, products = slice, taken = TAKEN }: RetailYearOptions,
): void {
  const seed = testSeed();
  const year =
    FILE === undefined ? ofBusiest(retailEvents().slice(0, slice), products) : eventsOf(FILE);
  const said = model(year);
  const random = new Random(seed);
  const orders: (readonly [string, () => readonly EventBody[]])[] = [
    ['in order', () => year],
    ['the newest first', () => year.toReversed()],
  ];
  for (let n = 1; n <= SHUFFLES; n++) {
    orders.push([`shuffled, ${n} of seed ${seed}`, () => random.shuffled(year)]);
  }
  for (const [order, delivered] of orders) {
    const title = `${name}: ${year.length} events of ${said.size} products, ${order}`;
    t.test(title, { timeout: TIMEOUT_MS }, async (t) => {
      const world = await makeWorld(t);
      const store = world.makeStore();
      const writer = new HistoryWriter(store);
      const reader = new HistoryReader(world.makeReads());
      await writer.open();
      const startMs = performance.now();
      await writeAll(store, writer, delivered(), FILE === undefined ? taken : TAKEN);
      const seconds = (performance.now() - startMs) / 1000;
      t.comment(`written in ${seconds.toFixed(1)} s`);
      let compared = 0;
      for (const [id, marks] of said) {
        for (const field of FIELDS) {
          const found = JSON.stringify(values(await changesIn(reader, id, field)));
          const wanted = JSON.stringify(values(changesOf(marks[field])));
          if (found !== wanted) t.equal(found, wanted, `${id} ${field}`);
          compared++;
        }
        const { found } = await reader.answer({ kind: 'prior', ids: [id], rule: RULE });
        const wanted = priorPrice(newestFirst(marks.price), WHOLE, RULE);
        t.match(found[0] ?? { price: null }, wanted, `${id}: the prior price`);
      }
      t.equal(compared, said.size * FIELDS.length);
      await reader.close();
      await store.close();
    });
  }
}
