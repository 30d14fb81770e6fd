/**
 * The history: a year of a shop imported in one batch, and prior prices read while more comes.
 *
 *   this process ──batch of a year──▶ service ──▶ log ──▶ appliers
 *        │                                         └──▶ history thread ──▶ history.sqlite
 *        └──GET prior-price, one after the other──▶ main ──▶ history-reader ──▶
 *   steady-writer.ts ──1,000 events a second──▶ service
 *
 * The year is made up (seeded: 4,070 products, few of them in most events, prices that mostly stay), or read
 * from RETAIL_EVENTS, a file of events a line. Every prior price is compared with the rule applied to the
 * events in memory, before more comes.
 */
import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { type Mark, WHOLE } from '../src/history/mark.ts';
import { priorPrice } from '../src/history/prior-price.ts';
import { uploadBatch } from './support/batch-upload.ts';
import { percentile } from './support/percentile.ts';
import { createRandom } from './support/random.ts';
import { figure, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';

const SEED = 20_261_129;
const SIZES = {
  full: { products: 4070, events: 541_909, reads: 8000, perSecond: 1000 },
  smoke: { products: 50, events: 2000, reads: 100, perSecond: 100 },
} as const;
const YEAR_MS = 365 * 24 * 60 * 60 * 1000;
const START_MS = Date.UTC(2025, 0, 1);
const RULE = { days: 30, gradual: false } as const;
const WAITS_MAX = 4;
const WRITER = fileURLToPath(new URL('support/steady-writer.ts', import.meta.url));

interface Told {
  readonly product_id: string;
  readonly price: number;
  readonly stock: number;
  readonly occurred_at: string;
}

function madeUpYear(products: number, events: number): Told[] {
  const word = createRandom(SEED);
  const random = () => word() / 2 ** 32;
  const prices = Array.from({ length: products }, () => Math.ceil(random() * 1000) / 10);
  return Array.from({ length: events }, (_, n) => {
    const product = Math.floor(random() ** 3 * products);
    if (random() < 0.1) prices[product] = Math.ceil(random() * 1000) / 10;
    const occurredAtMs = START_MS + Math.floor((n / events) * YEAR_MS);
    return {
      product_id: `p${product}`,
      price: prices[product],
      stock: Math.floor(random() * 1000),
      occurred_at: new Date(occurredAtMs).toISOString(),
    };
  });
}

function yearFrom(file: string): Told[] {
  const bytes = readFileSync(file);
  const text = (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const events = text
    .trimEnd()
    .split('\n')
    .map((line): Told => JSON.parse(line));
  return events.filter(({ price }) => price >= 0);
}

class Client {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: string) {
    this.#url = url;
  }

  get(path: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const call = request(`${this.#url}${path}`, { agent: this.#agent }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => {
          if (response.statusCode === 200) resolve(text);
          else reject(new Error(`${response.statusCode} ${text}`));
        });
      });
      call.on('error', reject).end();
    });
  }

  /** Resolves when the history has the event `seq`; a wait in the service is bounded, and a busy machine slow. */
  async caughtUp(id: string, seq: number | null): Promise<void> {
    const path = `/api/v1/products/${id}/prior-price?min_seq=${seq}&wait=30s`;
    for (let waits = 1; ; waits++) {
      try {
        await this.get(path);
        return;
      } catch (error) {
        if (waits === WAITS_MAX || !String(error).includes('not-yet-applied')) throw error;
      }
    }
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** What the rule says of each product, from the events alone. */
function expected(year: readonly Told[]): Map<string, number | null> {
  const marks = new Map<string, Mark[]>();
  for (const [i, { product_id, price, occurred_at }] of year.entries()) {
    const own = marks.get(product_id) ?? [];
    marks.set(product_id, own);
    own.push({ atMs: Date.parse(occurred_at), seq: i + 1, value: price });
  }
  return new Map(
    [...marks].map(([id, own]) => {
      const newestFirst = own.sort((a, b) => b.atMs - a.atMs || b.seq - a.seq);
      return [id, priorPrice(newestFirst, WHOLE, RULE).reduction?.priorPrice ?? null];
    }),
  );
}

async function readAll(
  client: Client,
  ids: readonly string[],
  reads: number,
  what = '/prior-price',
): Promise<Float64Array> {
  const times = new Float64Array(reads);
  for (let n = 0; n < reads; n++) {
    const id = encodeURIComponent(ids[(n * 7919) % ids.length]);
    const startMs = performance.now();
    await client.get(`/api/v1/products/${id}${what}`);
    times[n] = performance.now() - startMs;
  }
  return times.sort();
}

async function bench(size: BenchSize): Promise<Report> {
  const { products, events, reads, perSecond } = SIZES[size];
  const file = size === 'full' ? process.env.RETAIL_EVENTS : undefined;
  const year = file === undefined ? madeUpYear(products, events) : yearFrom(file);
  const lines = year.map((event) => `${JSON.stringify(event)}\n`);
  return withScratchFolder(async (folder) => {
    const dataDir = join(folder, 'data');
    const env = { PORT: '0', DATA_DIR: dataDir, HISTORY: 'forever' };
    const server = await ServerProcess.start('src/main.ts', env);
    const client = new Client(server.url);
    const startMs = performance.now();
    const imported = await uploadBatch(server.url, '?on_error=continue', [
      Buffer.from(lines.join('')),
    ]);
    assert.equal(imported.accepted, year.length);
    const [id] = year[0].product_id.split('/');
    await client.caughtUp(id, imported.lastSeq);
    const caughtUpSeconds = (performance.now() - startMs) / 1000;

    const wanted = expected(year);
    for (const [product, prior] of wanted) {
      const path = `/api/v1/products/${encodeURIComponent(product)}/prior-price`;
      const found = JSON.parse(await client.get(path));
      assert.equal(found.prior_price, prior, product);
      assert.equal(found.complete, true, product);
    }
    const ids = [...wanted.keys()];
    const still = await readAll(client, ids, reads);
    const fileBytes = statSync(join(dataDir, 'history.sqlite')).size;

    const writer = fork(WRITER, [server.url, String(products), String(perSecond)]);
    await once(writer, 'message');
    const moving = await readAll(client, ids, reads);
    const present = await readAll(client, ids, reads, '');
    const over = once(writer, 'message');
    writer.send('stop');
    const [written] = (await over) as [{ lastSeq: number; perSecond: number }];
    await client.caughtUp(id, written.lastSeq);
    client.close();
    await server.stop();
    const times = (of: Float64Array) => [50, 99].map((p) => `${figure(percentile(of, p))} ms`);
    return {
      name: 'History',
      conditions: [
        `${figure(year.length, 6)} events of ${figure(ids.length)} products, ${file ?? `made up, seed ${SEED}`}, in one batch; then ${reads} prior prices read one after the other over one connection, without and with ${figure(written.perSecond)} events a second`,
      ],
      tables: [
        {
          title: 'Prior price, from the request to the answer',
          columns: ['beside', 'p50', 'p99'],
          rows: [
            ['nothing', ...times(still)],
            [`${figure(written.perSecond)} events/s`, ...times(moving)],
            ['the same, but a present state is read', ...times(present)],
          ],
        },
      ],
      aims: [
        {
          what: 'a year caught up, from the first byte of the import',
          measured: caughtUpSeconds,
          wanted: 10,
          better: 'lower',
          unit: 's',
        },
        {
          what: 'prior price, p99, while events come',
          measured: percentile(moving, 99),
          wanted: 1,
          better: 'lower',
          unit: 'ms',
        },
      ],
      notes: [
        `The import alone was answered after ${figure(imported.seconds)} s. The file has ${figure(fileBytes / 2 ** 20)} MB.`,
      ],
    };
  });
}

await runBench(bench);
