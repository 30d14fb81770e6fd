/**
 * HTTP_THREADS: the same service with 1, 2 and 4 threads that serve HTTP.
 *
 *                                   ┌─▶ main.ts, HTTP_THREADS=1
 *   wrk, 64 connections, in turns ──┼─▶ main.ts, HTTP_THREADS=2
 *                                   └─▶ main.ts, HTTP_THREADS=4
 *
 *   node bench/threads.bench.ts [--smoke]
 *
 * All run all the time, on all cores, which they share with wrk; who is not asked takes nothing. Each load goes
 * to all in short rounds, in the opposite order every time. GETs are sent without a script, so that wrk takes as
 * little as it can; POSTs with one. At the end the products of each are read back.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { productNames } from './support/http-load.ts';
import { verifyProducts } from './support/http-state.ts';
import { figure, median, type Report, type Table } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { processCpuMs } from './support/thread-times.ts';
import { hasWrk, sendPlainGets, sendWrkLoad, type WrkResult } from './support/wrk.ts';

const CONNECTIONS = 64;
const THREADS = [1, 2, 4] as const;
const METHODS = ['GET', 'POST'] as const;
const SIZES = {
  full: { rounds: 5, seconds: 3, products: 2000 },
  smoke: { rounds: 1, seconds: 1, products: 50 },
} as const;

type Method = (typeof METHODS)[number];

interface Round extends WrkResult {
  /** CPU of all threads, per request. */
  readonly cpuUs: number;
}

interface Server {
  readonly threads: number;
  readonly process: ServerProcess;
  readonly rounds: Readonly<Record<Method, Round[]>>;
}

async function load(
  { process: { url, pid } }: Server,
  method: Method,
  size: BenchSize,
  edition: number,
): Promise<Round> {
  const { seconds, products } = SIZES[size];
  const beforeMs = processCpuMs(pid);
  const result =
    method === 'GET'
      ? await sendPlainGets(`${url}/api/v1/products/bench-00000000`, CONNECTIONS, seconds)
      : await sendWrkLoad({
          url,
          method,
          products,
          edition,
          token: undefined,
          connections: CONNECTIONS,
          seconds,
        });
  const requests = result.requestsPerSecond * seconds;
  return { ...result, cpuUs: ((processCpuMs(pid) - beforeMs) * 1000) / requests };
}

async function start(folder: string): Promise<Server[]> {
  const servers: Server[] = [];
  for (const threads of THREADS) {
    const env = { PORT: '0', DATA_DIR: join(folder, `${threads}`), HTTP_THREADS: `${threads}` };
    const process = await ServerProcess.start('src/main.ts', env);
    servers.push({ threads, process, rounds: { GET: [], POST: [] } });
  }
  return servers;
}

function table(method: Method, servers: readonly Server[]): Table {
  const [one] = servers;
  return {
    title: method === 'GET' ? 'GET' : 'durable POST',
    columns: ['HTTP_THREADS', 'requests/s', 'of one', 'CPU µs per request', 'p50 ms', 'p99 ms'],
    rows: servers.map(({ threads, rounds }) => {
      const of = (value: (round: Round) => number) => figure(median(rounds[method].map(value)));
      return [
        String(threads),
        of((round) => round.requestsPerSecond),
        ratio(method, one, { rounds }, (round) => round.requestsPerSecond).toFixed(2),
        of((round) => round.cpuUs),
        of((round) => round.p50Ms),
        of((round) => round.p99Ms),
      ];
    }),
  };
}

/** The median over rounds of what `server` has of what `one` has. */
function ratio(
  method: Method,
  one: Pick<Server, 'rounds'>,
  server: Pick<Server, 'rounds'>,
  value: (round: Round) => number,
): number {
  return median(
    server.rounds[method].map((round, i) => value(round) / value(one.rounds[method][i])),
  );
}

async function bench(size: BenchSize): Promise<Report> {
  const name = 'Threads that serve HTTP';
  if (!hasWrk() || availableParallelism() < 2) {
    const conditions = ['not run: it takes wrk and two cores'];
    return { name, conditions, tables: [], aims: [], notes: [] };
  }
  const { rounds, seconds, products } = SIZES[size];
  return withScratchFolder(async (folder) => {
    const servers = await start(folder);
    const ids = productNames(size).slice(0, products);
    // The first round is to warm up, and puts the product there that is read.
    for (let round = 0; round <= rounds; round++) {
      for (const method of METHODS.toReversed()) {
        for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
          const result = await load(server, method, size, round);
          if (round > 0) server.rounds[method].push(result);
        }
      }
    }
    for (const { process } of servers) {
      await verifyProducts(process.url, ids, rounds);
      await process.stop();
    }
    const [one, two] = servers;
    const reads = (value: (round: Round) => number) => ratio('GET', one, two, value);
    return {
      name,
      conditions: [
        `${availableParallelism()} cores that services and wrk share; wrk with one thread and ${CONNECTIONS} connections; ${rounds} rounds of ${seconds} s after one to warm up, in the opposite order of the round before; figures are medians of rounds, ratios are taken within a round`,
        `GET: one product, no script; POST: ${figure(products)} products by a script; CPU is that of all threads of the service`,
      ],
      tables: METHODS.map((method) => table(method, servers)),
      aims: [
        {
          what: 'GET with 2 threads, of one',
          measured: reads((round) => round.requestsPerSecond),
          wanted: 1.2,
          better: 'higher',
          unit: '',
        },
        {
          what: 'p99 of GET with 2 threads, of one',
          measured: reads((round) => round.p99Ms),
          wanted: 0.5,
          better: 'lower',
          unit: '',
        },
      ],
      notes: ['Every answer was a 2xx, and every product was read back with its last value.'],
    };
  });
}

await runBench(bench);
