/**
 * What it costs to see and to keep out: the service as it is meant to be run, beside the same without.
 *
 *   core 1               core 0
 *                    ┌─▶ main.ts   METRICS=false                      no tokens, no limits
 *   wrk, in turns ───┼─▶ main.ts   METRICS=true                       no tokens, no limits
 *                    ├─▶ main.ts   METRICS=true JWT_SECRET RATE_LIMIT  a token with each request
 *                    └─▶ main.ts   METRICS=true, traces, 1 % or all sampled ──▶ this process, which only takes them
 *
 *   round   1        2        3        4        …
 *   order   A … E    E … A    A … E    E … A       each load a second or so to each server
 *
 * All run all the time, on one core with all their threads, so that whatever is done more shows in the
 * requests that are left. wrk sends each load in short rounds to one after the other, in the opposite order every time. A life of a process says little, so all are started anew several
 * times. Each round gives a ratio to the service without; their median is the result. Whether every answer was a 2xx
 * wrk counts, and at the end of each life every product is read back.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { productNames } from './support/http-load.ts';
import { verifyProducts } from './support/http-state.ts';
import { figure, median, quartiles, type Report, type Table } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { hasCores, hasWrk, keepOnCore, sendWrkLoad, type WrkResult } from './support/wrk.ts';

const SIZES = {
  full: { lives: 3, warmUps: 2, rounds: 4, seconds: 1, products: 500 },
  smoke: { lives: 1, warmUps: 0, rounds: 1, seconds: 1, products: 50 },
} as const;
const CONNECTIONS = 64;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const METHODS = ['POST', 'GET'] as const;
/** Never reached: what is measured is the counting. */
const RATE = '10000000/1s';
const SECRET = randomBytes(32).toString('hex');

type Method = (typeof METHODS)[number];

interface Server {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly token: string | undefined;
  /** What its ratio to the first one must be, at the least. */
  readonly wanted: number | undefined;
  readonly results: Readonly<Record<Method, WrkResult[]>>;
}

/** A collector that says thank you and keeps nothing; its work is on the client's core. */
async function startCollector() {
  let bytes = 0;
  const server = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
    });
    request.once('end', () => response.end());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    received: () => bytes,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function servers(collector: string): Promise<Server[]> {
  const token = await new SignJWT({ roles: ['writer'] })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('bench')
    .setExpirationTime('1h')
    .sign(Buffer.from(SECRET));
  const guards = { METRICS: 'true', JWT_SECRET: SECRET, RATE_LIMIT: RATE };
  const traced = (ratio: string) => ({
    METRICS: 'true',
    OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: ratio,
  });
  const results = () => ({ POST: [], GET: [] });
  return [
    {
      name: 'without',
      env: { METRICS: 'false' },
      token: undefined,
      wanted: undefined,
      results: results(),
    },
    {
      name: 'metrics',
      env: { METRICS: 'true' },
      token: undefined,
      wanted: 0.98,
      results: results(),
    },
    { name: 'metrics, tokens, rate limits', env: guards, token, wanted: 0.9, results: results() },
    ...[
      { name: 'metrics, 1 % of requests traced', env: traced('0.01') },
      { name: 'metrics, every request traced', env: traced('1') },
    ].map((one) => ({ ...one, token: undefined, wanted: undefined, results: results() })),
  ];
}

async function runLife(size: BenchSize, all: readonly Server[], folder: string): Promise<void> {
  const { warmUps, rounds, seconds, products } = SIZES[size];
  const ids = productNames(size).slice(0, products);
  const running: { readonly server: Server; readonly process: ServerProcess }[] = [];
  for (const [i, server] of all.entries()) {
    const env = { PORT: '0', DATA_DIR: join(folder, String(i)), ...server.env };
    const process = await ServerProcess.start('src/main.ts', env);
    keepOnCore(process.pid, SERVER_CORE);
    running.push({ server, process });
  }
  for (let round = 1 - warmUps; round <= rounds; round++) {
    for (const method of METHODS) {
      for (const { server, process } of round % 2 === 0 ? running : running.toReversed()) {
        const { token } = server;
        const load = {
          url: process.url,
          method,
          token,
          seconds,
          connections: CONNECTIONS,
          core: CLIENT_CORE,
        };
        // An edition is never negative.
        const result = await sendWrkLoad({
          ...load,
          products: ids.length,
          edition: round + warmUps,
        });
        if (round > 0) server.results[method].push(result);
      }
    }
  }
  for (const { server, process } of running) {
    await verifyProducts(process.url, ids, rounds + warmUps, server.token);
    await process.stop();
  }
}

/** Requests/s beside those of the first server in the same round, round by round. */
function ratios(server: Server, [without]: readonly Server[], method: Method): number[] {
  return server.results[method].map(
    ({ requestsPerSecond }, i) => requestsPerSecond / without.results[method][i].requestsPerSecond,
  );
}

function table(all: readonly Server[], method: Method): Table {
  return {
    title: `${method}, ${CONNECTIONS} connections`,
    columns: ['service', 'requests/s', 'ratio (quartiles)', 'p50 ms', 'p99 ms'],
    rows: all.map((server) => {
      const own = ratios(server, all, method);
      const [low, high] = quartiles(own);
      const of = (pick: (result: WrkResult) => number) =>
        figure(median(server.results[method].map(pick)));
      return [
        server.name,
        of((result) => result.requestsPerSecond),
        `${median(own).toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`,
        of((result) => result.p50Ms),
        of((result) => result.p99Ms),
      ];
    }),
  };
}

async function bench(size: BenchSize): Promise<Report> {
  const name = 'Metrics, tokens, rate limits and traces, beside none';
  if (!hasWrk() || !hasCores()) {
    return {
      name,
      conditions: ['not run: it takes wrk, taskset and two cores'],
      tables: [],
      aims: [],
      notes: [],
    };
  }
  const { lives, rounds, warmUps, seconds, products } = SIZES[size];
  return withScratchFolder(async (folder) => {
    const collector = await startCollector();
    const all = await servers(collector.url);
    for (let life = 0; life < lives; life++) await runLife(size, all, join(folder, String(life)));
    if (collector.received() === 0) throw new Error('no trace was exported');
    collector.close();
    return {
      name,
      conditions: [
        `${lives} lives of all, in each ${rounds} rounds of ${seconds} s after ${warmUps} to warm up, none left out; to each server right after the other, in the opposite order of the round before; figures are medians of rounds, ratios are taken within a round`,
        `wrk with one thread and ${CONNECTIONS} connections on one core, the services on another; ${figure(products)} products; the same HS256 token with each request, RATE_LIMIT=${RATE}`,
      ],
      tables: METHODS.map((method) => table(all, method)),
      aims: all.flatMap((server) =>
        METHODS.flatMap((method) => {
          if (server.wanted === undefined) return [];
          const measured = median(ratios(server, all, method));
          const what = `${method} with ${server.name}, of without`;
          return [{ what, measured, wanted: server.wanted, better: 'higher', unit: '' } as const];
        }),
      ),
      notes: ['Every answer was a 2xx, and every product was read back with its last value.'],
    };
  });
}

await runBench(bench);
