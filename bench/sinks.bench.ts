/**
 * Sinks on the whole service: how fast a new one is filled, how far one is behind under full load on hot
 * products, and what the traffic loses by it. Databases, service and load share the cores.
 *
 *   this process ──HTTP, one batch──▶ service ─▶ store ─▶ sink's thread ──▶ SQLite | PostgreSQL | Redis
 *   wrk          ──HTTP, POST ─────▶
 *
 * A part of the figures needs Debian's postgresql, redis-server and wrk; what is missing is left out and said.
 * Each sink's rows are counted in the end.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout } from 'node:timers/promises';
import { PostgresProcess, postgresVersion } from './support/postgres-process.ts';
import { RedisProcess, redisVersion } from './support/redis-process.ts';
import { type Aim, figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { StridedUpload } from './support/strided-upload.ts';
import { hasWrk, sendWrkLoad } from './support/wrk.ts';

const SIZES = {
  full: { products: 1_000_000, hot: 20_000, events: 4_000_000, rounds: 3, seconds: 5 },
  smoke: { products: 5_000, hot: 500, events: 20_000, rounds: 1, seconds: 1 },
} as const;

const POLL_MS = 20;
const LAG_POLL_MS = 200;
const CAUGHT_UP_MS_MAX = 300_000;
const CONNECTIONS = 50;
/** Rows a second, and seconds for 1,000,000 of them, by the kind of sink. */
const WANTED = {
  sqlite: { rate: 150_000, seconds: 10 },
  postgres: { rate: 50_000, seconds: 30 },
  redis: { rate: 100_000, seconds: 30 },
} as const;

type Kind = keyof typeof WANTED;

interface Target {
  readonly kind: Kind;
  readonly sink: string;
  /** How many products it has. */
  count(): Promise<number>;
  empty(): Promise<void>;
  stop(): Promise<void>;
}

function sqliteTarget(folder: string): Target {
  const path = join(folder, 'sink', 'products.db');
  mkdirSync(join(folder, 'sink'));
  return {
    kind: 'sqlite',
    sink: `sqlite:${path}`,
    count: async () => {
      const database = new DatabaseSync(path, { readOnly: true });
      const row = database.prepare('SELECT count(*) AS count FROM products').get();
      database.close();
      return Number(row?.count);
    },
    empty: async () => {
      rmSync(join(folder, 'sink'), { recursive: true });
      mkdirSync(join(folder, 'sink'));
    },
    stop: async () => undefined,
  };
}

async function postgresTarget(version: string): Promise<Target> {
  const server = await PostgresProcess.start(version);
  return {
    kind: 'postgres',
    sink: `${server.url}?schema=bench`,
    count: async () =>
      Number((await server.query('SELECT count(*) FROM bench.products'))[0]?.count),
    empty: async () => void (await server.query('DROP SCHEMA IF EXISTS bench CASCADE')),
    stop: () => server.stop(),
  };
}

async function redisTarget(folder: string): Promise<Target> {
  mkdirSync(join(folder, 'redis'));
  const server = await RedisProcess.start(join(folder, 'redis'));
  return {
    kind: 'redis',
    sink: `redis://127.0.0.1:${server.port}`,
    // One key is the sink's own.
    count: async () => Number(await server.command('DBSIZE')) - 1,
    empty: async () => void (await server.command('FLUSHALL')),
    stop: () => server.stop(),
  };
}

interface Check {
  readonly name: string;
  readonly state: string;
  readonly detail: string;
}

async function behind(url: string): Promise<number | undefined> {
  const response = await fetch(`${url}/readyz?verbose`);
  const { checks = [] } = (await response.json()) as { readonly checks?: readonly Check[] };
  const sink = checks.find(({ name }) => name.startsWith('sink '));
  const events = /^(\d+) events behind/.exec(sink?.detail ?? '')?.[1];
  return sink?.state === 'following' && events !== undefined ? Number(events) : undefined;
}

/** Resolves when the sink has everything; to how long that took, ms. */
async function caughtUp(url: string): Promise<number> {
  const startMs = performance.now();
  while ((await behind(url)) !== 0) {
    if (performance.now() - startMs > CAUGHT_UP_MS_MAX)
      throw new Error('the sink does not catch up');
    await setTimeout(POLL_MS);
  }
  return performance.now() - startMs;
}

/** How old the state is that the sink shows, seconds. */
async function lagSeconds(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^product_service_sink_lag_seconds\{[^}]*\} (\S+)$/m.exec(text)?.[1]);
}

const serve = (dataDir: string, sink = '') =>
  ServerProcess.start('src/main.ts', {
    PORT: '0',
    DATA_DIR: dataDir,
    SINKS: sink,
    LOG_LEVEL: 'info',
  });

interface HotRun {
  readonly eventsPerSecond: number;
  readonly lagSecondsMax: number;
  readonly postsPerSecond: number;
}

async function hotRun(
  folder: string,
  target: Target | undefined,
  size: BenchSize,
): Promise<HotRun> {
  const { hot, events, seconds } = SIZES[size];
  const dataDir = join(folder, 'hot');
  await target?.empty();
  const server = await serve(dataDir, target?.sink);
  const upload = new StridedUpload(hot);
  let isSent = false;
  let lagSecondsMax = 0;
  const watching = (async () => {
    while (target !== undefined && !isSent) {
      await setTimeout(LAG_POLL_MS);
      lagSecondsMax = Math.max(lagSecondsMax, await lagSeconds(server.url));
    }
  })();
  const startMs = performance.now();
  await upload.send(server.url, events);
  const ms = performance.now() - startMs;
  isSent = true;
  await watching;
  if (target !== undefined) {
    lagSecondsMax = Math.max(lagSecondsMax, (await caughtUp(server.url)) / 1000);
    const count = await target.count();
    if (count !== hot) throw new Error(`${target.kind} has ${count} of ${hot} products`);
  }
  let postsPerSecond = Number.NaN;
  if (hasWrk()) {
    const load = { method: 'POST', products: hot, edition: 1, token: undefined } as const;
    const { url } = server;
    const result = await sendWrkLoad({ ...load, url, connections: CONNECTIONS, seconds });
    postsPerSecond = result.requestsPerSecond;
  }
  await server.stop();
  rmSync(dataDir, { recursive: true });
  return { eventsPerSecond: (events * 1000) / ms, lagSecondsMax, postsPerSecond };
}

async function bench(size: BenchSize): Promise<Report> {
  return await withScratchFolder(async (folder) => {
    const targets = [sqliteTarget(folder)];
    const missing: string[] = [];
    const version = postgresVersion();
    if (version === undefined) missing.push('PostgreSQL');
    else targets.push(await postgresTarget(version));
    if (redisVersion() === undefined) missing.push('Redis');
    else targets.push(await redisTarget(folder));
    try {
      return await measure(folder, targets, missing, size);
    } finally {
      for (const target of targets) await target.stop();
    }
  });
}

async function measure(
  folder: string,
  targets: readonly Target[],
  missing: readonly string[],
  size: BenchSize,
): Promise<Report> {
  const { products, hot, events, rounds } = SIZES[size];
  const aims: Aim[] = [];
  const filled: string[][] = [];
  const dataDir = join(folder, 'cold');
  const first = await serve(dataDir);
  await new StridedUpload(products).send(first.url, products);
  await first.stop();
  for (const target of targets) {
    const server = await serve(dataDir, target.sink);
    const seconds = (await caughtUp(server.url)) / 1000;
    await server.stop();
    const count = await target.count();
    if (count !== products) throw new Error(`${target.kind} has ${count} of ${products} products`);
    filled.push([target.kind, figure(products / seconds), figure(seconds)]);
    const { rate, seconds: wanted } = WANTED[target.kind];
    aims.push(
      aim(`${target.kind}: products of a new sink`, products / seconds, rate, 'higher', '/s'),
      aim(`${target.kind}: a new sink of ${figure(products)}`, seconds, wanted, 'lower', 's'),
    );
  }

  const none: HotRun[] = [];
  const beside = new Map<Kind, HotRun[]>(targets.map(({ kind }) => [kind, []]));
  for (let round = 0; round < rounds; round++) {
    none.push(await hotRun(folder, undefined, size));
    for (const target of targets) {
      beside.get(target.kind)?.push(await hotRun(folder, target, size));
    }
  }
  const of = (runs: readonly HotRun[], stat: keyof HotRun) => median(runs.map((run) => run[stat]));
  const rows = [['none', none] as const, ...beside].map(([name, runs]) => [
    name,
    figure(of(runs, 'eventsPerSecond')),
    figure(of(runs, 'eventsPerSecond') / of(none, 'eventsPerSecond')),
    figure(of(runs, 'postsPerSecond')),
    figure(of(runs, 'postsPerSecond') / of(none, 'postsPerSecond')),
    name === 'none' ? '' : figure(of(runs, 'lagSecondsMax')),
  ]);
  for (const [kind, runs] of beside) {
    aims.push(aim(`${kind}: most lag under full load`, of(runs, 'lagSecondsMax'), 2, 'lower', 's'));
  }
  return {
    name: 'Sinks',
    conditions: [
      `A new sink of ${products} products; then ${events} events on ${hot} hot products in one batch, as fast as they are taken, and POSTs by wrk over ${CONNECTIONS} connections; ${rounds} rounds in turns, median.`,
      'Databases, service and load share the cores; PostgreSQL flushes each commit, Redis each second.',
      'Every product was counted in the sink.',
    ],
    tables: [
      {
        title: 'A new sink',
        columns: ['sink', 'products/s', 'seconds'],
        rows: filled,
      },
      {
        title: 'Beside full load',
        columns: ['sink', 'batch events/s', 'of none', 'POST/s', 'of none', 'most lag, s'],
        rows,
      },
    ],
    aims,
    notes: missing.map((name) => `${name} is not installed here, and was left out.`),
  };
}

function aim(
  what: string,
  measured: number,
  wanted: number,
  better: Aim['better'],
  unit: string,
): Aim {
  return { what, measured, wanted, better, unit };
}

await runBench(bench);
