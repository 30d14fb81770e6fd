/**
 * Reading the whole catalogue over HTTP: one stream of lines beside a walk through the pages.
 *
 *   this thread: app ─▶ store (filled, no writers)          reader thread
 *     GET /api/v1/products  application/x-ndjson  ──HTTP──▶   takes every byte, checks it afterwards
 *     GET /api/v1/products?limit=1000&cursor=…    ──HTTP──▶   the same, page by page
 *
 * Every product must come exactly once, with the price and stock that it has.
 */
import { once } from 'node:events';
import { Agent, get, type IncomingMessage, type RequestOptions } from 'node:http';
import { parentPort, Worker, workerData } from 'node:worker_threads';
import Fastify from 'fastify';
import { compilersFactory } from '../src/event/ajv.ts';
import { AppliedGate } from '../src/http/guards/applied-gate.ts';
import { catalogueRoutes } from '../src/http/routes/catalogue.ts';
import { Shard } from '../src/store/shard.ts';
import { SharedProductStore } from '../src/store/shared-product-store.ts';
import { planStore } from '../src/store/sizing.ts';
import { productIds } from './support/event-stream.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { StoreFill, stockAt } from './support/store-fill.ts';

const SHARDS = 16;
const STORE_BYTES_PER_PRODUCT = 400;
const FILL_CHUNK = 1000;
const KEY = { k0: 0x01234567, k1: 0x89abcdef | 0 };

const SIZES = {
  full: { products: 200_000, rounds: 5 },
  smoke: { products: 3000, rounds: 1 },
} as const;

type Way = 'stream' | 'pages' | 'full stream';

const PATHS: Readonly<Record<Way, string>> = {
  stream: '/api/v1/products',
  pages: '/api/v1/products?limit=1000',
  'full stream': '/api/v1/products?view=full',
};

interface ReaderData {
  readonly port: number;
  readonly way: Way;
  readonly products: number;
}

interface Reading {
  readonly ms: number;
  readonly bytes: number;
}

interface Product {
  readonly id: string;
  readonly price: number;
  readonly stock: number;
}

function filledStore(products: number): SharedProductStore {
  const plan = planStore(Math.max(1 << 20, products * STORE_BYTES_PER_PRODUCT), SHARDS);
  const shards = Array.from({ length: plan.shards }, () => Shard.create(plan.shard));
  const fill = new StoreFill(shards, KEY, FILL_CHUNK);
  const ids = productIds(products);
  for (let from = 0; from < products; from += FILL_CHUNK) {
    const chunk = ids.slice(from, from + FILL_CHUNK);
    fill.prepare(chunk);
    for (let i = 0; i < chunk.length; i++) fill.update(i);
  }
  return new SharedProductStore(shards, KEY);
}

function appOn(store: SharedProductStore) {
  const app = Fastify({ schemaController: { compilersFactory } });
  const lifecycle = {
    phase: 'ready',
    wasReady: true,
    storageAvailable: true,
    isReader: false,
    checks: () => [],
  } as const;
  const watermark = { seq: 0, whenApplied: () => undefined, cancel: () => {} };
  const gate = new AppliedGate(watermark, lifecycle);
  catalogueRoutes(app, { products: store, catalogue: store, watermark, gate, lifecycle });
  return app;
}

/** One reading in a thread of its own. */
async function read(data: ReaderData): Promise<Reading> {
  const worker = new Worker(new URL(import.meta.url), { workerData: data });
  const [reading] = (await once(worker, 'message')) as [Reading];
  await once(worker, 'exit');
  return reading;
}

async function bench(size: BenchSize): Promise<Report> {
  const { products, rounds } = SIZES[size];
  const app = appOn(filledStore(products));
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  const ways = Object.keys(PATHS) as Way[];
  const readings = new Map<Way, Reading[]>(ways.map((way) => [way, []]));
  // Round 0 warms up.
  for (let round = 0; round <= rounds; round++) {
    for (const way of ways) {
      const reading = await read({ port, way, products });
      if (round > 0) readings.get(way)?.push(reading);
    }
  }
  await app.close();
  const rate = (way: Way) =>
    median((readings.get(way) ?? []).map(({ ms }) => (products * 1000) / ms));
  return {
    name: 'Catalogue',
    conditions: [
      `${products} products, ${rounds} rounds in turns, median; reader and service on the same cores.`,
      'Every product was checked to come exactly once, as it is in the store.',
    ],
    tables: [
      {
        title: 'The whole catalogue over HTTP',
        columns: ['way', 'products/s', 'MB'],
        rows: ways.map((way) => [
          way,
          figure(rate(way)),
          figure((readings.get(way)?.[0]?.bytes ?? 0) / 1e6),
        ]),
      },
    ],
    aims: [],
    notes: [],
  };
}

/** The reader's side: everything first, then the check, so that the check is not measured. */
async function runReader({ port, way, products }: ReaderData): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  const bodies: string[] = [];
  const accept = way === 'pages' ? 'application/json' : 'application/x-ndjson';
  const startMs = performance.now();
  for (let path: string | undefined = PATHS[way]; path !== undefined; ) {
    const body = await bodyOf({ port, path, agent, headers: { accept } });
    bodies.push(body);
    const next = way === 'pages' ? (JSON.parse(body).next as string | null) : null;
    path = next === null ? undefined : `${PATHS[way]}&cursor=${next}`;
  }
  const ms = performance.now() - startMs;
  agent.destroy();
  const read =
    way === 'pages'
      ? bodies.flatMap((body) => JSON.parse(body).products as Product[])
      : bodies.flatMap((body) => body.trimEnd().split('\n')).map((line) => JSON.parse(line));
  verify(read, products);
  const bytes = bodies.reduce((sum, body) => sum + body.length, 0);
  parentPort?.postMessage({ ms, bytes } satisfies Reading);
}

async function bodyOf(options: RequestOptions): Promise<string> {
  const [response] = (await once(get(options), 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

function verify(read: readonly Product[], products: number): void {
  const byId = new Map(read.map((product) => [product.id, product]));
  if (read.length !== products || byId.size !== products) {
    throw new Error(`${read.length} products with ${byId.size} ids, expected ${products}`);
  }
  for (const [i, id] of productIds(products).entries()) {
    const product = byId.get(id);
    if (product?.price !== i + 1 || product.stock !== stockAt(i + 1)) {
      throw new Error(`${id}: ${JSON.stringify(product)}`);
    }
  }
}

const data = workerData as ReaderData | null;
if (data === null) await runBench(bench);
else await runReader(data);
