/**
 * A restart: how soon the service is ready again, beside Redis with the same products.
 *
 *   write path ─▶ checkpoint of all products, then one more event for each ─▶ DATA_DIR
 *                    main.ts, a process of its own: start, ready, kill -9, start, …
 *   the same events as HSETs ─▶ redis-server, append-only file ─▶ start, loaded, stop, …
 *
 * Both start in turns on files in the page cache. After each start some products are read over the
 * wire; at the end the service starts once in this process, and every product is compared.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { loadConfig } from '../src/config/load.ts';
import type { FullEvent } from '../src/event/product-event.ts';
import { Service } from '../src/service.ts';
import { CatalogueStream } from './support/catalogue-stream.ts';
import { RedisProcess, redisVersion } from './support/redis-process.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { BenchPath } from './support/write-path.ts';

const SEED = 20_260_515;
const QUEUE_SIZE = 32_768;
const STORE_BYTES = 256 * 2 ** 20;
const READY_MS_WANTED = 2000;
/** Products read over the wire after each start. */
const SAMPLES = 200;

const SIZES = {
  full: { rounds: 5, products: 1_000_000 },
  smoke: { rounds: 1, products: 5_000 },
} as const;

interface Start {
  readonly readyMs: number;
  /** Of that the log thread's work; Redis does not say. */
  readonly replayMs: number | undefined;
}

/** One that is restarted, and its starts. */
interface Contender {
  readonly name: string;
  readonly starts: Start[];
  readonly start: () => Promise<Start>;
}

/** Writes a DATA_DIR with every product in a checkpoint, and as many events behind it. */
async function writeDataDir(folder: string, stream: CatalogueStream, size: BenchSize) {
  const { products } = SIZES[size];
  const options = { folder, appliers: 2, queueSize: QUEUE_SIZE, storeBytes: STORE_BYTES };
  const path = await BenchPath.start(options);
  try {
    await path.send(stream, products);
    await path.applied();
    if (!(await path.checkpoints.runRound(false))) throw new Error('the checkpoint failed');
    await path.send(stream, products);
    await path.finish();
  } finally {
    await path.dispose();
  }
}

function samplesOf(stream: CatalogueStream, size: BenchSize): FullEvent[] {
  const step = SIZES[size].products / SAMPLES;
  return Array.from({ length: SAMPLES }, (_, i) => stream.expected(i * step));
}

async function startService(
  dataDir: string,
  samples: readonly FullEvent[],
  size: BenchSize,
): Promise<Start> {
  const startMs = performance.now();
  const service = await ServerProcess.start('src/main.ts', { PORT: '0', DATA_DIR: dataDir });
  const readyMs = performance.now() - startMs;
  try {
    const lines = service.output.split('\n').filter((line) => line.startsWith('{'));
    const replayed = lines.map((line) => JSON.parse(line)).find((line) => 'replayFrom' in line);
    const { products } = SIZES[size];
    if (replayed?.products !== products || replayed.events !== products) {
      throw new Error(`restored ${JSON.stringify(replayed)}, expected ${products} of each`);
    }
    for (const { productId, price, stock } of samples) {
      const response = await fetch(`${service.url}/api/v1/products/${productId}`);
      const found = await response.text();
      const expected = JSON.stringify({ id: productId, price, stock });
      if (found !== expected) throw new Error(`expected ${expected}, found ${found}`);
    }
    return { readyMs, replayMs: replayed.durationMs };
  } finally {
    // A clean stop would take a checkpoint, and leave the next start nothing to replay.
    await service.kill();
  }
}

/** Starts the service on `dataDir` in this process and compares every product. */
async function verifyAll(dataDir: string, stream: CatalogueStream): Promise<void> {
  const config = loadConfig({ PORT: '0', DATA_DIR: dataDir });
  const service = await Service.start({ config, logger: pino({ level: 'warn' }) });
  try {
    await service.ready();
    stream.verify(service.path.store);
  } finally {
    await service.stop();
  }
}

/** Fills an append-only file with the same events; rewritten after the first half if asked to. */
async function writeRedis(folder: string, size: BenchSize, isRewritten: boolean): Promise<void> {
  mkdirSync(folder);
  const { products } = SIZES[size];
  const stream = new CatalogueStream(SEED, products);
  const hset = () => {
    const { productId, price, stock } = stream.next();
    return ['HSET', productId, 'price', String(price), 'stock', String(stock)];
  };
  const redis = await RedisProcess.start(folder);
  await redis.pipeline(products, hset);
  if (isRewritten) await redis.rewrite();
  await redis.pipeline(products, hset);
  await redis.stop();
}

async function startRedis(
  folder: string,
  samples: readonly FullEvent[],
  size: BenchSize,
): Promise<Start> {
  const startMs = performance.now();
  const redis = await RedisProcess.start(folder);
  const readyMs = performance.now() - startMs;
  const { products } = SIZES[size];
  const keys = await redis.command('DBSIZE');
  if (keys !== String(products)) throw new Error(`redis has ${keys} of ${products} products`);
  for (const { productId, price, stock } of samples) {
    const found = [
      await redis.command('HGET', productId, 'price'),
      await redis.command('HGET', productId, 'stock'),
    ].join(' × ');
    const expected = `${price} × ${stock}`;
    if (found !== expected) throw new Error(`${productId}: expected ${expected}, found ${found}`);
  }
  await redis.stop();
  return { readyMs, replayMs: undefined };
}

async function contenders(folder: string, size: BenchSize, hasRedis: boolean) {
  const stream = new CatalogueStream(SEED, SIZES[size].products);
  const dataDir = join(folder, 'service');
  await writeDataDir(dataDir, stream, size);
  const samples = samplesOf(stream, size);
  const all: Contender[] = [
    { name: 'service', starts: [], start: () => startService(dataDir, samples, size) },
  ];
  for (const isRewritten of hasRedis ? [false, true] : []) {
    const own = join(folder, isRewritten ? 'redis-rewritten' : 'redis');
    await writeRedis(own, size, isRewritten);
    all.push({
      name: `Redis, ${isRewritten ? 'rewritten in the middle (RDB, then commands)' : 'commands only'}`,
      starts: [],
      start: () => startRedis(own, samples, size),
    });
  }
  return { all, verify: () => verifyAll(dataDir, stream) };
}

async function bench(size: BenchSize): Promise<Report> {
  const { rounds, products } = SIZES[size];
  const redis = redisVersion();
  const all = await withScratchFolder(async (folder) => {
    const { all, verify } = await contenders(folder, size, redis !== undefined);
    for (let round = 0; round < rounds; round++) {
      for (const { starts, start } of all) starts.push(await start());
    }
    await verify();
    return all;
  });
  const [service] = all;
  const ratios = ({ starts }: Contender) =>
    starts.map(({ readyMs }, round) => readyMs / service.starts[round].readyMs);
  return {
    name: 'Restart, beside Redis',
    conditions: [
      `${rounds} rounds, starts in turns; medians, ratios are taken within a round; files in the page cache, seed ${SEED}`,
      `the service: ${figure(products)} products in the newest checkpoint and ${figure(products)} events behind it, its defaults (3 workers, 1GB), ended by SIGKILL; from the start of the process to its line "ready"`,
      redis === undefined
        ? 'redis-server is not installed: the service alone'
        : `Redis ${redis}: HSET of price and stock for the same ${figure(products)} products and ${figure(products)} more, appendonly yes, no snapshots; from the start of the process to its first answer but LOADING`,
    ],
    tables: [
      {
        title: 'Starts',
        columns: [
          'what',
          'ms until ready',
          'lowest–highest',
          'of these the log thread',
          "times the service's",
        ],
        rows: all.map((contender) => {
          const readyMs = contender.starts.map((start) => start.readyMs);
          const replayMs = contender.starts.map((start) => start.replayMs ?? Number.NaN);
          return [
            contender.name,
            figure(median(readyMs)),
            `${figure(Math.min(...readyMs))}–${figure(Math.max(...readyMs))}`,
            Number.isNaN(replayMs[0]) ? '' : figure(median(replayMs)),
            median(ratios(contender)).toFixed(2),
          ];
        }),
      },
    ],
    aims: [
      {
        what: `ready with ${figure(products)} products and ${figure(products)} events`,
        measured: median(service.starts.map((start) => start.readyMs)),
        wanted: READY_MS_WANTED,
        better: 'lower',
        unit: 'ms',
      },
    ],
    notes: [
      `After each start the number of products and ${SAMPLES} of them were checked over the wire; at the end the service was started once more and every product compared.`,
    ],
  };
}

await runBench(bench);
