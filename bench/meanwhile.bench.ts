/**
 * What clients notice of a checkpoint: POST, GET and bulk over HTTP, with one going on and without.
 *
 *   this process ──autocannon, NDJSON──▶ support/checkpointed-service.ts ──▶ DATA_DIR
 *         └──IPC: off, due, loop, round──▶   "    "
 *
 * One service; each load runs without checkpoints and with them, in turns, the other one first in every
 * second round. Before a POST as much log lies behind the checkpoint as makes one due, both times, so that the
 * service paces it as it would by itself; beside a bulk import they come due by themselves; beside GET, which
 * makes none due, one follows the other at full speed, which is more than there ever is. What part of
 * the time one was being written is looked at, not assumed. Products are read back at the end.
 *   node bench/meanwhile.bench.ts [products] [--smoke]
 */
import { Buffer } from 'node:buffer';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { uploadBatch } from './support/batch-upload.ts';
import type { CheckpointOrder } from './support/checkpointed-service.ts';
import { productNames, reads, sendLoad, writes } from './support/http-load.ts';
import { readProducts, verifyProducts } from './support/http-state.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { eventLines, firstEventOf, stateAfter } from './support/strided-load.ts';
import { StridedUpload } from './support/strided-upload.ts';

const RATIO_WANTED = 0.95;
const P99_RATIO_WANTED = 1.3;
const CONNECTIONS = 64;
const SAMPLES = 300;
const LOOK_EVERY_MS = 20;
const LINES_PER_BLOCK = 5000;
/** Events of one body of the fill. */
const FILL_EVENTS = 500_000;

const SIZES = {
  full: { products: 1_000_000, rounds: 3, requests: 2400, bulkEvents: 1_600_000, uploads: 4 },
  smoke: { products: 20_000, rounds: 1, requests: 10, bulkEvents: 10_000, uploads: 2 },
} as const;
/** The smoke's checkpoints come due by its few events. */
const ENV = {
  full: { LOG_RETENTION: '1MB' },
  smoke: { LOG_RETENTION: '0B', CHECKPOINT_EVERY: '1MB' },
} as const;
/** Memory for as many products, with the spare that shards need. */
const MEMORY_BYTES_PER_PRODUCT = 200;

const LOADS = ['POST', 'GET', 'bulk'] as const;
type LoadName = (typeof LOADS)[number];
type Plan = Omit<(typeof SIZES)[BenchSize], 'products'> & { readonly products: number };

interface Stretch {
  /** Requests, or events of a bulk import. */
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Part of the time in which a checkpoint was being written. */
  readonly covered: number;
  readonly writtenBytesPerEvent: number;
}

interface Pair {
  readonly without: Stretch;
  readonly during: Stretch;
}

class Bench {
  readonly #server: ServerProcess;
  readonly #checkpointFolder: string;
  readonly #plan: Plan;
  readonly #ids: readonly string[];
  readonly #body: readonly Buffer[];
  #edition = 0;

  constructor(server: ServerProcess, dataDir: string, plan: Plan, ids: readonly string[]) {
    this.#server = server;
    this.#checkpointFolder = join(dataDir, 'checkpoint');
    this.#plan = plan;
    this.#ids = ids;
    const { products, bulkEvents } = plan;
    this.#body = Array.from({ length: Math.ceil(bulkEvents / LINES_PER_BLOCK) }, (_, i) => {
      const from = i * LINES_PER_BLOCK;
      const count = Math.min(LINES_PER_BLOCK, bulkEvents - from);
      return Buffer.from(eventLines(products, products + from, count));
    });
  }

  order(order: CheckpointOrder): Promise<unknown> {
    return this.#server.order(order);
  }

  async fill(): Promise<void> {
    const upload = new StridedUpload(this.#plan.products);
    while (upload.sent < this.#plan.products) {
      const left = this.#plan.products - upload.sent;
      await upload.send(this.#server.url, Math.min(FILL_EVENTS, left));
    }
    await this.#postAll();
    await this.#post();
    await this.#get();
    await this.#bulk(1);
    await this.order('round');
  }

  /** One stretch of `load`, checkpoints as `order` says. */
  async stretch(load: LoadName, order: 'off' | 'due' | 'loop'): Promise<Stretch> {
    if (load === 'POST') await this.#bulk(1);
    await this.order(order);
    const looks: boolean[] = [];
    const timer = setInterval(() => looks.push(this.#isWriting()), LOOK_EVERY_MS);
    const before = this.#writtenBytes();
    const measured = await this.#run(load);
    const writtenBytes = this.#writtenBytes() - before;
    clearInterval(timer);
    await this.order('off');
    await this.order('round');
    const covered = looks.filter((isWriting) => isWriting).length / Math.max(1, looks.length);
    return { ...measured, covered, writtenBytesPerEvent: writtenBytes / measured.events };
  }

  /** Throws unless products hold what was sent. */
  async verify(): Promise<void> {
    await this.#postAll();
    await verifyProducts(this.#server.url, this.#ids, this.#edition);
    const { products, bulkEvents } = this.#plan;
    const states = Array.from({ length: SAMPLES }, (_, i) => {
      const product = Math.floor((i * products) / SAMPLES);
      let event = firstEventOf(product, products);
      while (event + products < products + bulkEvents) event += products;
      return stateAfter(event, product);
    });
    await readProducts(this.#server.url, states);
  }

  async #run(load: LoadName) {
    if (load === 'bulk') return await this.#bulk(this.#plan.uploads);
    return load === 'POST' ? await this.#post() : await this.#get();
  }

  /** Every product of the single events, once. */
  async #postAll(): Promise<void> {
    const connections = 50;
    const shape = { connections, pipelining: 1, requests: this.#ids.length / connections };
    await sendLoad(this.#server.url, writes(this.#ids, ++this.#edition), shape);
  }

  async #post() {
    return await this.#http(writes(this.#ids, ++this.#edition));
  }

  async #get() {
    return await this.#http(reads(this.#ids));
  }

  async #http(requests: Parameters<typeof sendLoad>[1]) {
    const shape = { connections: CONNECTIONS, pipelining: 1, requests: this.#plan.requests };
    const result = await sendLoad(this.#server.url, requests, shape);
    const { requestsPerSecond: perSecond, p50Ms, p99Ms } = result;
    return { perSecond, p50Ms, p99Ms, events: result.requests };
  }

  async #bulk(uploads: number) {
    const { bulkEvents } = this.#plan;
    let seconds = 0;
    for (let i = 0; i < uploads; i++) {
      const answer = await uploadBatch(this.#server.url, '?on_error=continue', this.#body);
      if (answer.accepted !== bulkEvents) throw new Error(`${answer.accepted} events were taken`);
      seconds += answer.seconds;
    }
    const events = uploads * bulkEvents;
    return { perSecond: events / seconds, p50Ms: 0, p99Ms: 0, events };
  }

  #isWriting(): boolean {
    return readdirSync(this.#checkpointFolder).some((name) => name.endsWith('.tmp'));
  }

  #writtenBytes(): number {
    const io = readFileSync(`/proc/${this.#server.pid}/io`, 'utf8');
    return Number(/^write_bytes: (\d+)/m.exec(io)?.[1]);
  }
}

async function measure(folder: string, size: BenchSize, plan: Plan) {
  const dataDir = join(folder, 'data');
  const memory = Math.max(64 * 2 ** 20, plan.products * MEMORY_BYTES_PER_PRODUCT);
  const env = { ...ENV[size], PORT: '0', DATA_DIR: dataDir, MAX_MEMORY_USAGE: `${memory}B` };
  const server = await ServerProcess.start('bench/support/checkpointed-service.ts', env, 'ipc');
  const bench = new Bench(server, dataDir, plan, productNames(size));
  await bench.order('off');
  await bench.fill();
  const found: Record<LoadName, Pair[]> = { POST: [], GET: [], bulk: [] };
  for (let round = 0; round < plan.rounds; round++) {
    for (const load of LOADS) {
      const without = () => bench.stretch(load, 'off');
      const during = () => bench.stretch(load, load === 'GET' ? 'loop' : 'due');
      if (round % 2 === 0) found[load].push({ without: await without(), during: await during() });
      else {
        const first = await during();
        found[load].push({ without: await without(), during: first });
      }
    }
  }
  await bench.verify();
  await bench.order('stop');
  return found;
}

async function bench(size: BenchSize): Promise<Report> {
  const given = process.argv
    .slice(2)
    .map(Number)
    .find((n) => n > 0);
  const plan: Plan = { ...SIZES[size], products: given ?? SIZES[size].products };
  const found = await withScratchFolder((folder) => measure(folder, size, plan));
  const of = (load: LoadName, pick: (pair: Pair) => number) => median(found[load].map(pick));
  const ratio = (load: LoadName, what: 'perSecond' | 'p99Ms') =>
    of(load, ({ without, during }) => during[what] / without[what]);
  const range = (load: LoadName) => {
    const all = found[load].map(({ without, during }) => during.perSecond / without.perSecond);
    return `${figure(ratio(load, 'perSecond'))} (${figure(Math.min(...all))}–${figure(Math.max(...all))})`;
  };
  return {
    name: 'Traffic beside checkpoints',
    conditions: [
      `${figure(plan.products)} products, ${plan.rounds} rounds, without and with checkpoints in turns; medians, ratios are taken within a round`,
      `POST (durable) and GET: ${CONNECTIONS} connections, ${figure(CONNECTIONS * plan.requests)} requests a stretch; bulk: ${plan.uploads} bodies of ${figure(plan.bulkEvents)} events one after the other; client and service on the same cores`,
    ],
    tables: [
      {
        title: 'With checkpoints, beside without',
        columns: [
          'load',
          'without, /s',
          'with, /s',
          'ratio (lowest–highest)',
          'p99 without, ms',
          'p99 with, ms',
          'ratio of p99',
          'of the time one was written',
          'bytes written per event, without',
          'with',
        ],
        rows: LOADS.map((load) => {
          const isBulk = load === 'bulk';
          const ms = (value: number) => (isBulk ? '' : figure(value));
          const bytes = (value: number) => (isBulk ? figure(value) : '');
          return [
            load,
            figure(of(load, ({ without }) => without.perSecond)),
            figure(of(load, ({ during }) => during.perSecond)),
            range(load),
            ms(of(load, ({ without }) => without.p99Ms)),
            ms(of(load, ({ during }) => during.p99Ms)),
            ms(ratio(load, 'p99Ms')),
            figure(of(load, ({ during }) => during.covered)),
            bytes(of(load, ({ without }) => without.writtenBytesPerEvent)),
            bytes(of(load, ({ during }) => during.writtenBytesPerEvent)),
          ];
        }),
      },
    ],
    aims: [
      ...LOADS.map((load) => ({
        what: `${load} beside checkpoints, of those without`,
        measured: ratio(load, 'perSecond'),
        wanted: RATIO_WANTED,
        better: 'higher' as const,
        unit: '',
      })),
      {
        what: 'p99 of a POST beside a checkpoint, of those without',
        measured: ratio('POST', 'p99Ms'),
        wanted: P99_RATIO_WANTED,
        better: 'lower',
        unit: '',
      },
    ],
    notes: ['Every answer was a 2xx, and products were read back with their last value.'],
  };
}

await runBench(bench);
