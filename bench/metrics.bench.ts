/**
 * What counting costs: the service with metrics beside the same without, and with a scraper.
 *
 *   core 1                          core 0
 *   wrk, 64 connections, in turns ──┬─▶ main.ts, METRICS=true    ◀── /metrics once a second, or not
 *                                   └─▶ main.ts, METRICS=false
 *
 * Both servers run all the time, on one core with all their threads, so that whatever is done more shows
 * in the requests that are left. Each load goes to both in short rounds, in the opposite order every
 * time; a round gives one ratio, and the median of all is the result. Both are started anew several times:
 * the same program is faster in one life than in the next. At the end the counters are held against the
 * answers that wrk has seen.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { figure, median, quartiles, type Report, type Table } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { getProducts, postEvents, runWrk, type WrkResult } from './support/wrk.ts';

const RATIO_WANTED = 0.98;
const SCRAPED_P99_WANTED = 1.1;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const CONNECTIONS = 64;
const SCRAPE_EVERY_MS = 1000;
const SIZES = {
  full: {
    lives: 3,
    warmUps: 1,
    rounds: 4,
    seconds: 2,
    scrapeRounds: 3,
    scrapeSeconds: 4,
    products: 10_000,
  },
  smoke: {
    lives: 1,
    warmUps: 0,
    rounds: 1,
    seconds: 1,
    scrapeRounds: 1,
    scrapeSeconds: 1,
    products: 100,
  },
} as const;

const LOADS = ['POST', 'GET'] as const;
type Load = (typeof LOADS)[number];

interface Pair {
  readonly on: WrkResult;
  readonly off: WrkResult;
}

/** Starts it on its core, with all products in it. */
async function start(
  folder: string,
  life: number,
  isMetered: boolean,
  products: number,
): Promise<ServerProcess> {
  const server = await ServerProcess.start('src/main.ts', {
    PORT: '0',
    METRICS: String(isMetered),
    DATA_DIR: join(folder, `${isMetered}-${life}`),
  });
  // All threads that it has, and those that it will have.
  const pinned = spawnSync('taskset', ['-a', '-p', '-c', `${SERVER_CORE}`, `${server.pid}`]);
  if (pinned.status !== 0) throw new Error(`taskset: ${pinned.stderr}`);
  const lines = Array.from(
    { length: products },
    (_, i) => `{"product_id":"p${i}","price":1,"stock":1}\n`,
  );
  const answer = await fetch(`${server.url}/api/v1/events/batch?ack=applied`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join(''),
  });
  if (answer.status !== 200) throw new Error(`batch: ${await answer.text()}`);
  return server;
}

/** Asks for the metrics until stopped; returns how long each took. */
function scrapeUntil(url: string, signal: AbortSignal): Promise<number[]> {
  const scrape = async () => {
    const tookMs: number[] = [];
    while (!signal.aborted) {
      const startMs = performance.now();
      await (await fetch(`${url}/metrics`)).text();
      tookMs.push(performance.now() - startMs);
      await pause(SCRAPE_EVERY_MS, undefined, { signal }).catch(() => undefined);
    }
    return tookMs;
  };
  return scrape();
}

async function counted(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(new RegExp(`^${name.replace(/[{}]/g, '\\$&')} (\\S+)$`, 'm').exec(text)?.[1] ?? 0);
}

/** What both were at in one round each of a load. */
async function rounds(
  folder: string,
  { lives, warmUps, rounds, seconds, products }: (typeof SIZES)[BenchSize],
): Promise<Record<Load, Pair[]>> {
  const scripts = { POST: postEvents(folder, products), GET: getProducts(folder, products) };
  const results: Record<Load, Pair[]> = { POST: [], GET: [] };
  for (let life = 0; life < lives; life++) {
    const on = await start(folder, life, true, products);
    const off = await start(folder, life, false, products);
    const run = ({ url }: ServerProcess, load: Load) =>
      runWrk({
        url,
        connections: CONNECTIONS,
        seconds,
        script: scripts[load],
        core: CLIENT_CORE,
      });
    for (let warmUp = 0; warmUp < warmUps; warmUp++) {
      for (const load of LOADS) for (const server of [on, off]) await run(server, load);
    }
    for (let round = 0; round < rounds; round++) {
      for (const load of LOADS) {
        if (round % 2 === 0) {
          results[load].push({ on: await run(on, load), off: await run(off, load) });
        } else {
          const last = await run(off, load);
          results[load].push({ on: await run(on, load), off: last });
        }
      }
    }
    await on.stop();
    await off.stop();
  }
  return results;
}

interface Scraped {
  readonly p99Ratios: number[];
  readonly scrapeMs: number[];
}

/** POST at full load, with and without a scraper, in turns. */
async function scraped(
  folder: string,
  { scrapeRounds, scrapeSeconds, products }: (typeof SIZES)[BenchSize],
): Promise<Scraped> {
  const server = await start(folder, -1, true, products);
  const script = postEvents(folder, products);
  const run = () =>
    runWrk({
      url: server.url,
      connections: CONNECTIONS,
      seconds: scrapeSeconds,
      script,
      core: CLIENT_CORE,
    });
  await run();
  const p99Ratios: number[] = [];
  const scrapeMs: number[] = [];
  const withScraper = async () => {
    const stop = new AbortController();
    const scraping = scrapeUntil(server.url, stop.signal);
    const { p99Ms } = await run();
    stop.abort();
    scrapeMs.push(...(await scraping));
    return p99Ms;
  };
  for (let round = 0; round < scrapeRounds; round++) {
    const quietFirst = round % 2 === 0 ? (await run()).p99Ms : undefined;
    const busy = await withScraper();
    p99Ratios.push(busy / (quietFirst ?? (await run()).p99Ms));
  }
  await verify(server.url);
  await server.stop();
  return { p99Ratios, scrapeMs };
}

/** Every answer is counted, and every event that was answered was flushed and applied. */
async function verify(url: string): Promise<void> {
  const prefix = 'product_service_';
  const answered = await counted(
    url,
    `${prefix}http_requests_total{method="POST",route="/api/v1/events",status="202"}`,
  );
  const accepted = await counted(url, `${prefix}events_accepted_total{way="single"}`);
  const aborted = await counted(url, `${prefix}http_requests_aborted_total`);
  // wrk ends with its last requests under way: those were taken, and nobody was there for the answer.
  if (answered === 0 || accepted < answered || accepted > answered + aborted) {
    throw new Error(`${answered} answers and ${aborted} aborted, but ${accepted} events`);
  }
}

function table(load: Load, pairs: readonly Pair[]): Table {
  const of = (pick: (pair: Pair) => number) => figure(median(pairs.map(pick)));
  const row = (name: string, key: keyof Pair) => [
    name,
    of((pair) => pair[key].requestsPerSecond),
    of((pair) => pair[key].p50Ms),
    of((pair) => pair[key].p99Ms),
  ];
  const [low, high] = quartiles(ratiosOf(pairs));
  return {
    title: `${load}: with metrics ${median(ratiosOf(pairs)).toFixed(3)} of without (quartiles ${low.toFixed(3)}–${high.toFixed(3)})`,
    columns: ['server', 'requests/s', 'p50 ms', 'p99 ms'],
    rows: [row('METRICS=true', 'on'), row('METRICS=false', 'off')],
  };
}

function ratiosOf(pairs: readonly Pair[]): number[] {
  return pairs.map(({ on, off }) => on.requestsPerSecond / off.requestsPerSecond);
}

async function bench(size: BenchSize): Promise<Report> {
  const options = SIZES[size];
  return withScratchFolder(async (folder) => {
    const results = await rounds(folder, options);
    const { p99Ratios, scrapeMs } = await scraped(folder, options);
    return {
      name: 'What metrics cost',
      conditions: [
        `${options.lives} lives of both servers, ${options.rounds} rounds of ${options.seconds} s in each after ${options.warmUps} to warm up, both servers in each round`,
        `wrk with ${CONNECTIONS} connections on core ${CLIENT_CORE}, the server with all its threads on core ${SERVER_CORE}`,
      ],
      tables: [
        ...LOADS.map((load) => table(load, results[load])),
        {
          title: `POST with a scrape every ${SCRAPE_EVERY_MS / 1000} s`,
          columns: ['p99 of that without', 'quartiles', 'a scrape takes ms'],
          rows: [
            [
              figure(median(p99Ratios)),
              quartiles(p99Ratios)
                .map((ratio) => figure(ratio))
                .join('–'),
              figure(median(scrapeMs)),
            ],
          ],
        },
      ],
      aims: [
        ...LOADS.map((load) => ({
          what: `${load} with metrics, of without`,
          measured: median(ratiosOf(results[load])),
          wanted: RATIO_WANTED,
          better: 'higher' as const,
          unit: '',
        })),
        {
          what: 'p99 of POST while scraped, of not',
          measured: median(p99Ratios),
          wanted: SCRAPED_P99_WANTED,
          better: 'lower' as const,
          unit: '',
        },
      ],
      notes: [
        'Every answer was a 2xx, and the counters agree with them. METRICS=false leaves out what the main thread counts; what the other threads count once a frame goes on.',
      ],
    };
  });
}

await runBench(bench);
