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
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { figure, median, quartiles, type Report, type Table } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { processCpuMs } from './support/thread-times.ts';
import { hasWrk, keepOnCore, sendWrkLoad, type WrkResult } from './support/wrk.ts';

const RATIO_WANTED = 0.98;
const SCRAPED_P99_WANTED = 1.1;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const CONNECTIONS = 64;
const SCRAPE_EVERY_MS = 1000;
/** The first ones load and compile what the others use. */
const FIRST_SCRAPES = 20;
const SIZES = {
  full: { lives: 2, warmUps: 3, rounds: 12, scrapeRounds: 5, scrapeSeconds: 4, products: 500 },
  smoke: { lives: 1, warmUps: 0, rounds: 1, scrapeRounds: 1, scrapeSeconds: 1, products: 100 },
} as const;

const LOADS = ['POST', 'GET'] as const;
type Load = (typeof LOADS)[number];

interface Round extends WrkResult {
  /** CPU of the server, all threads, for each request. */
  readonly cpuUs: number;
}
interface Pair {
  readonly on: Round;
  readonly off: Round;
}
interface Running {
  readonly server: ServerProcess;
  readonly products: number;
}

/** Starts it on its core, with all products in it. */
async function start(folder: string, isMetered: boolean, products: number): Promise<Running> {
  const server = await ServerProcess.start('src/main.ts', {
    PORT: '0',
    METRICS: String(isMetered),
    DATA_DIR: join(folder, String(isMetered)),
  });
  keepOnCore(server.pid, SERVER_CORE);
  const running = { server, products };
  await run(running, 'POST', 1);
  return running;
}

async function run({ server, products }: Running, method: Load, seconds: number): Promise<Round> {
  const { url, pid } = server;
  const cpuMs = processCpuMs(pid);
  const result = await sendWrkLoad({
    url,
    method,
    products,
    edition: 0,
    token: undefined,
    connections: CONNECTIONS,
    seconds,
    core: CLIENT_CORE,
  });
  const requests = result.requestsPerSecond * seconds;
  return { ...result, cpuUs: ((processCpuMs(pid) - cpuMs) * 1000) / requests };
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

/** What both were at, round by round. */
async function rounds(
  folder: string,
  { lives, warmUps, rounds, products }: (typeof SIZES)[BenchSize],
): Promise<Record<Load, Pair[]>> {
  const results: Record<Load, Pair[]> = { POST: [], GET: [] };
  for (let life = 0; life < lives; life++) {
    const on = await start(join(folder, String(life)), true, products);
    const off = await start(join(folder, String(life)), false, products);
    for (let round = 1 - warmUps; round <= rounds; round++) {
      for (const load of LOADS) {
        const first = await run(round % 2 === 0 ? on : off, load, 1);
        const second = await run(round % 2 === 0 ? off : on, load, 1);
        const pair = round % 2 === 0 ? { on: first, off: second } : { on: second, off: first };
        if (round > 0) results[load].push(pair);
      }
    }
    await on.server.stop();
    await off.server.stop();
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
  const running = await start(join(folder, 'scraped'), true, products);
  const { url } = running.server;
  for (let i = 0; i < FIRST_SCRAPES; i++) await (await fetch(`${url}/metrics`)).text();
  await run(running, 'POST', scrapeSeconds);
  const p99Ratios: number[] = [];
  const scrapeMs: number[] = [];
  const quietP99 = async () => (await run(running, 'POST', scrapeSeconds)).p99Ms;
  const scrapedP99 = async () => {
    const stop = new AbortController();
    const scraping = scrapeUntil(url, stop.signal);
    const { p99Ms } = await run(running, 'POST', scrapeSeconds);
    stop.abort();
    scrapeMs.push(...(await scraping));
    return p99Ms;
  };
  for (let round = 0; round < scrapeRounds; round++) {
    if (round % 2 === 0) {
      const quiet = await quietP99();
      p99Ratios.push((await scrapedP99()) / quiet);
    } else {
      const busy = await scrapedP99();
      p99Ratios.push(busy / (await quietP99()));
    }
  }
  await verify(url);
  await running.server.stop();
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
  const row = (name: string, key: keyof Pair, pick: (ratio: Pair) => number) => [
    name,
    ...(['requestsPerSecond', 'cpuUs', 'p50Ms', 'p99Ms'] as const).map((figureOf) =>
      figure(median(pairs.map((pair) => pair[key][figureOf]))),
    ),
    quartiles(pairs.map(pick))
      .map((ratio) => ratio.toFixed(3))
      .join('–'),
  ];
  return {
    title: load,
    columns: [
      'server',
      'requests/s',
      'CPU µs per request',
      'p50 ms',
      'p99 ms',
      'quartiles of ratios',
    ],
    rows: [
      row('METRICS=true', 'on', ({ on, off }) => on.requestsPerSecond / off.requestsPerSecond),
      row('METRICS=false', 'off', ({ on, off }) => off.cpuUs / on.cpuUs),
    ],
  };
}

async function bench(size: BenchSize): Promise<Report> {
  const name = 'What metrics cost';
  if (!hasWrk()) {
    return { name, conditions: ['not run: wrk is missing'], tables: [], aims: [], notes: [] };
  }
  const options = SIZES[size];
  // Its own work, scrapes among it, is not to be in the server's way.
  keepOnCore(process.pid, CLIENT_CORE);
  return withScratchFolder(async (folder) => {
    const results = await rounds(folder, options);
    const { p99Ratios, scrapeMs } = await scraped(folder, options);
    const ratio = (load: Load, of: (pair: Pair) => number) => median(results[load].map(of));
    return {
      name,
      conditions: [
        `${options.lives} lives of both servers, ${options.rounds} rounds of 1 s in each after ${options.warmUps} to warm up, both servers in each round, in the opposite order of the round before`,
        `wrk with ${CONNECTIONS} connections on core ${CLIENT_CORE}, the server with all its threads on core ${SERVER_CORE}; ${figure(options.products)} products`,
        `behind METRICS=true the ratios of requests/s, behind METRICS=false those of CPU, without to with`,
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
                .map((one) => figure(one))
                .join('–'),
              figure(median(scrapeMs)),
            ],
          ],
        },
      ],
      aims: [
        ...LOADS.flatMap((load) => [
          {
            what: `${load}/s with metrics, of without`,
            measured: ratio(load, ({ on, off }) => on.requestsPerSecond / off.requestsPerSecond),
            wanted: RATIO_WANTED,
            better: 'higher' as const,
            unit: '',
          },
          {
            what: `CPU of a ${load} without metrics, of with`,
            measured: ratio(load, ({ on, off }) => off.cpuUs / on.cpuUs),
            wanted: RATIO_WANTED,
            better: 'higher' as const,
            unit: '',
          },
        ]),
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
