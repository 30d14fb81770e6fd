/**
 * Sinks on the whole service: how fast a new one is filled, how far one is behind under full load on hot
 * products, and what the traffic loses by it. Databases, service and load share the cores, so a sink takes
 * from the traffic what its thread and its database need; what the service itself needs for an event, the sink's thread
 * aside, says whether it takes more than that.
 *
 *   this process ──HTTP, one batch──▶ service ─▶ store ─▶ sink's thread ──▶ SQLite | PostgreSQL | Redis
 *   wrk          ──HTTP, POST ─────▶
 *
 * A part of the figures needs Debian's postgresql, redis-server and wrk; what is missing is left out and said.
 * Each sink's rows are counted in the end.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { postgresVersion } from './support/postgres-process.ts';
import { redisVersion } from './support/redis-process.ts';
import { type Aim, figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import {
  postgresTarget,
  redisTarget,
  type SinkKind,
  type SinkTarget,
  sqliteTarget,
} from './support/sink-targets.ts';
import { StridedUpload } from './support/strided-upload.ts';
import { namedThreadsCpuMs, processCpuMs } from './support/thread-times.ts';
import { hasWrk, sendWrkLoad } from './support/wrk.ts';

const SIZES = {
  full: {
    products: 1_000_000,
    hot: 20_000,
    posted: 2000,
    events: 2_500_000,
    rounds: 3,
    seconds: 3,
  },
  smoke: { products: 5_000, hot: 50, posted: 50, events: 20_000, rounds: 1, seconds: 1 },
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
} as const satisfies Record<SinkKind, object>;

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
  /** CPU of the service without its sink's thread, microseconds. */
  readonly cpuPerEvent: number;
  readonly cpuPerPost: number;
}

/** CPU milliseconds of the service so far, its sink's thread aside. */
function ownCpuMs({ pid }: ServerProcess): number {
  return processCpuMs(pid) - namedThreadsCpuMs(pid, 'sink ');
}

async function hotRun(
  folder: string,
  target: SinkTarget | undefined,
  size: BenchSize,
): Promise<HotRun> {
  const { hot, posted, events, seconds } = SIZES[size];
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
  const cpuMs = ownCpuMs(server);
  await upload.send(server.url, events);
  const ms = performance.now() - startMs;
  const cpuPerEvent = ((ownCpuMs(server) - cpuMs) * 1000) / events;
  isSent = true;
  await watching;
  if (target !== undefined) {
    lagSecondsMax = Math.max(lagSecondsMax, (await caughtUp(server.url)) / 1000);
    const count = await target.count();
    if (count !== hot) throw new Error(`${target.kind} has ${count} of ${hot} products`);
  }
  let postsPerSecond = Number.NaN;
  let cpuPerPost = Number.NaN;
  if (hasWrk()) {
    const load = { method: 'POST', products: posted, edition: 1, token: undefined } as const;
    const { url } = server;
    const before = ownCpuMs(server);
    const result = await sendWrkLoad({ ...load, url, connections: CONNECTIONS, seconds });
    postsPerSecond = result.requestsPerSecond;
    cpuPerPost = ((ownCpuMs(server) - before) * 1000) / (postsPerSecond * seconds);
  }
  await server.stop();
  rmSync(dataDir, { recursive: true });
  const eventsPerSecond = (events * 1000) / ms;
  return { eventsPerSecond, lagSecondsMax, postsPerSecond, cpuPerEvent, cpuPerPost };
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
  targets: readonly SinkTarget[],
  missing: readonly string[],
  size: BenchSize,
): Promise<Report> {
  const { products, hot, posted, events, rounds } = SIZES[size];
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
  const beside = new Map<SinkKind, HotRun[]>(targets.map(({ kind }) => [kind, []]));
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
    figure(of(runs, 'cpuPerEvent')),
    figure(of(runs, 'cpuPerPost')),
    name === 'none' ? '' : figure(of(runs, 'lagSecondsMax')),
  ]);
  for (const [kind, runs] of beside) {
    aims.push(aim(`${kind}: most lag under full load`, of(runs, 'lagSecondsMax'), 2, 'lower', 's'));
    const ratio = (stat: 'cpuPerEvent' | 'cpuPerPost') => of(none, stat) / of(runs, stat);
    aims.push(
      aim(
        `${kind}: bulk beside it, by CPU, its thread aside`,
        ratio('cpuPerEvent'),
        0.9,
        'higher',
        '',
      ),
      aim(
        `${kind}: POST beside it, by CPU, its thread aside`,
        ratio('cpuPerPost'),
        0.9,
        'higher',
        '',
      ),
    );
  }
  return {
    name: 'Sinks',
    conditions: [
      `A new sink of ${products} products; then ${events} events on ${hot} hot products in one batch, as fast as they are taken, and POSTs for ${posted} of them by wrk over ${CONNECTIONS} connections; ${rounds} rounds in turns, median.`,
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
        columns: [
          'sink',
          'batch events/s',
          'of none',
          'POST/s',
          'of none',
          'CPU µs an event, sink aside',
          'CPU µs a POST, sink aside',
          'most lag, s',
        ],
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
