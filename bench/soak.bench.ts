/**
 * A long time of mixed load, with threads that are killed: whether memory stays flat and the state right.
 *
 *   this process ── batches by key ─────▶ support/soaked-service.ts ◀── kill an applier, the log thread, …
 *     │          ── single writes ──────▶        │
 *     │          ── reads, pages ───────▶        │
 *     │          ══ the change feed ════▶        │        /metrics every few seconds: RSS, heap
 *     └─ a model of every product, held against an export and against what the feed said
 *
 * The load is a steady one, far from what the service can take: what is looked for grows with time. A
 * request that is cut off or refused for the moment is sent again under its key. Any other answer than the
 * expected one fails the bench.
 *   node bench/soak.bench.ts [seconds] [--smoke]
 */
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import {
  drainOn,
  followOn,
  importOn,
  LAST_ID,
  type Model,
  readOn,
  SoakClient,
  SoakTally,
  writeOn,
} from './support/soak-clients.ts';
import type { SoakOrder } from './support/soaked-service.ts';

const SIZES = {
  full: { seconds: 900, products: 50_000, lines: 5000, followers: 10, killEveryMs: 15_000 },
  smoke: { seconds: 4, products: 500, lines: 100, followers: 2, killEveryMs: 1500 },
} as const;
const BATCH_EVERY_MS = 500;
const WRITERS = 8;
const READERS = 8;
const PRODUCTS_OF_A_WRITER = 500;
/** Between two requests of one writer, or reader. */
const REQUEST_EVERY_MS = 20;
const SAMPLE_MS = 5000;
const GROWTH_WANTED = 1.05;
const MB = 2 ** 20;
const ROWS = 15;

interface Sample {
  readonly second: number;
  readonly rssMb: number;
  readonly heapMb: number;
  readonly events: number;
}

/** What the service says of its memory now. */
async function sampleOf(client: SoakClient, second: number, events: number): Promise<Sample> {
  const { text } = await client.send('GET', '/metrics');
  const of = (name: string) => Number(new RegExp(`^${name} (\\S+)`, 'm').exec(text)?.[1]) / MB;
  return {
    second,
    rssMb: of('process_resident_memory_bytes'),
    heapMb: of('nodejs_heap_size_used_bytes'),
    events,
  };
}

/** Throws unless `found` has just what `model` has. */
function compare(what: string, model: Model, found: Model): void {
  for (const [id, { price, stock }] of model) {
    const state = found.get(id);
    if (state?.price !== price || state.stock !== stock) {
      throw new Error(`${what}: ${id} is ${JSON.stringify(state)}, not ${price} × ${stock}`);
    }
  }
  if (found.size !== model.size)
    throw new Error(`${what}: ${found.size} of ${model.size} products`);
}

/** All products, once everything that was acknowledged is applied. */
async function exported(client: SoakClient): Promise<Model> {
  const { text } = await client.send('POST', '/api/v1/events?ack=applied', JSON_TYPE, LAST_EVENT);
  const { seq } = JSON.parse(text) as { seq: number };
  const accept = { accept: 'application/x-ndjson' };
  const path = `/api/v1/products?min_seq=${seq}&wait=30s`;
  const { text: lines } = await client.send('GET', path, accept);
  const products = lines
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
  return new Map(products.map(({ id, price, stock }) => [id, { price, stock }]));
}

const JSON_TYPE = { 'content-type': 'application/json' };
const LAST_EVENT = JSON.stringify({ product_id: LAST_ID, price: 1, stock: 1 });

async function bench(size: BenchSize): Promise<Report> {
  const { products, lines, followers, killEveryMs } = SIZES[size];
  const asked = Number(process.argv.slice(2).find((argument) => Number(argument) > 0));
  const seconds = asked > 0 ? asked : SIZES[size].seconds;
  const tally = new SoakTally();
  const model: Model = new Map();
  const samples: Sample[] = [];
  let kills = 0;
  await withScratchFolder(async (folder) => {
    const env = { PORT: '0', DATA_DIR: join(folder, 'data'), LOG_RETENTION: '64MB' };
    const server = await ServerProcess.start('bench/support/soaked-service.ts', env, 'ipc');
    const client = new SoakClient(server.url, tally);
    const feed: Model = new Map();
    const clientFor = () => new SoakClient(server.url, tally);
    const shared = { products, everyMs: REQUEST_EVERY_MS };
    const following = followOn(clientFor(), tally, feed);
    const draining = Array.from({ length: followers }, () => drainOn(clientFor(), tally));
    const working = [
      importOn(clientFor(), tally, model, { products, lines, everyMs: BATCH_EVERY_MS }),
      ...Array.from({ length: WRITERS }, (_, writer) => {
        const own = { writer, products: PRODUCTS_OF_A_WRITER, everyMs: REQUEST_EVERY_MS };
        return writeOn(clientFor(), tally, model, own);
      }),
      ...Array.from({ length: READERS }, (_, reader) =>
        readOn(clientFor(), tally, { reader, ...shared }),
      ),
    ];
    const startMs = performance.now();
    const second = () => (performance.now() - startMs) / 1000;
    let nextKillMs = killEveryMs;
    while (second() < seconds) {
      await pause(Math.min(SAMPLE_MS, killEveryMs, seconds * 1000 - second() * 1000));
      samples.push(await sampleOf(client, second(), tally.events));
      if (second() * 1000 < nextKillMs) continue;
      nextKillMs += killEveryMs;
      const order: SoakOrder = kills++ % 2 === 0 ? 'applier' : 'log';
      if ((await server.order(order)) !== true) throw new Error(`there was no ${order} to kill`);
    }
    tally.isOver = true;
    await Promise.all(working);
    const found = await exported(client);
    model.set(LAST_ID, { price: 1, stock: 1 });
    compare('the export', model, found);
    await following;
    compare('the feed', model, feed);
    client.close();
    if ((await server.order('stop')) !== true) throw new Error('it did not stop cleanly');
    await Promise.all(draining);
  });
  if (tally.faults.length > 0) throw new Error(tally.faults.join('\n'));
  return reportOf({ seconds, samples, tally, kills, products: model.size });
}

interface Soak {
  readonly seconds: number;
  readonly samples: readonly Sample[];
  readonly tally: SoakTally;
  readonly kills: number;
  readonly products: number;
}

function reportOf({ seconds, samples, tally, kills, products }: Soak): Report {
  const third = Math.floor(samples.length / 3);
  const growth = (pick: (sample: Sample) => number, of: (values: readonly number[]) => number) =>
    of(samples.slice(-third).map(pick)) / of(samples.slice(third, 2 * third).map(pick));
  const every = Math.ceil(samples.length / ROWS);
  const shown = samples.filter((_, i) => i % every === every - 1);
  const answers = [...tally.answers]
    .sort()
    .map(([status, count]) => `${status}: ${figure(count, 9)}`);
  const aim = (what: string, measured: number) => ({
    what,
    measured,
    wanted: GROWTH_WANTED,
    better: 'lower' as const,
    unit: '',
  });
  return {
    name: 'A long time of mixed load',
    conditions: [
      `${figure(seconds)} s; one importer, ${WRITERS} writers, ${READERS} readers, followers; ${kills} threads killed, an applier and the log thread in turns`,
      `${figure(tally.events, 9)} events, ${figure(tally.reads, 9)} reads, ${figure(tally.changes, 9)} changes to one follower, who was cut off ${tally.reconnects} times; ${tally.retries} requests were sent again`,
      `answers by status: ${answers.join(', ')}`,
    ],
    tables: [
      {
        title: 'Memory',
        columns: ['second', 'RSS MB', 'heap of the main thread MB', 'events so far'],
        rows: shown.map(({ second, rssMb, heapMb, events }) => [
          second.toFixed(0),
          figure(rssMb),
          figure(heapMb),
          figure(events, 9),
        ]),
      },
    ],
    aims: [
      aim(
        'RSS of the last third of a soak, of the second',
        growth(({ rssMb }) => rssMb, median),
      ),
      // What is left behind a collection: between two it grows as it may.
      aim(
        'least heap of the last third of a soak, of the second',
        growth(
          ({ heapMb }) => heapMb,
          (values) => Math.min(...values),
        ),
      ),
    ],
    notes: [
      `At the end an export and the feed both said what the model says of ${figure(products, 9)} products.`,
    ],
  };
}

await runBench(bench);
