/**
 * Single requests on one core: the service beside bare node:http, and where they are named beside an earlier
 * build and a Gin server.
 *
 *   core 1                          core 0
 *   wrk, 64 connections, in turns ──┬─▶ main.ts            the service, durable
 *                                   ├─▶ BEFORE/src/main.ts the same of another work tree (its own npm ci)
 *                                   ├─▶ bare-http.ts       node:http, JSON.parse, the same answer each time
 *                                   └─▶ GIN                a program that listens on PORT
 *
 *   node bench/single.bench.ts [--before=TREE] [--gin=PROGRAM] [--smoke]
 *
 * All run all the time, each on one core with all its threads. Its first five seconds are for themselves:
 * what has to be compiled counts there. Then each load goes to all in short rounds, in the opposite order every
 * time; a round gives one ratio to node:http, and the median of all is the result. All are started anew
 * several times. At the end the service's products are read back.
 */
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startForeign } from './support/foreign-server.ts';
import { productNames } from './support/http-load.ts';
import { verifyProducts } from './support/http-state.ts';
import { type Aim, figure, median, quartiles, type Report, type Table } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { processCpuMs } from './support/thread-times.ts';
import { hasCores, hasWrk, keepOnCore, sendWrkLoad, type WrkResult } from './support/wrk.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CONNECTIONS = 64;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const METHODS = ['POST', 'GET'] as const;
const SIZES = {
  full: { lives: 2, coldSeconds: 5, warmUps: 1, rounds: 3, seconds: 1, products: 2000 },
  smoke: { lives: 1, coldSeconds: 1, warmUps: 0, rounds: 1, seconds: 1, products: 50 },
} as const;

type Method = (typeof METHODS)[number];

interface Round extends WrkResult {
  /** CPU of all threads, per request. */
  readonly cpuUs: number;
}

interface Running {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

interface Server {
  readonly name: string;
  readonly isService: boolean;
  readonly start: (folder: string) => Promise<Running>;
  readonly cold: Round[];
  readonly warm: Readonly<Record<Method, Round[]>>;
}

function argument(name: string): string | undefined {
  const prefix = `--${name}=`;
  return process.argv.find((arg) => arg.startsWith(prefix))?.slice(prefix.length);
}

function serversToCompare(): Server[] {
  const results = () => ({ cold: [], warm: { POST: [], GET: [] } });
  const service = (module: string) => (folder: string) =>
    ServerProcess.start(module, { PORT: '0', DATA_DIR: folder });
  const before = argument('before');
  const gin = argument('gin');
  const servers: Server[] = [
    {
      name: 'node:http',
      isService: false,
      start: () => ServerProcess.start('bench/support/bare-http.ts', {}),
      ...results(),
    },
    { name: 'the service', isService: true, start: service('src/main.ts'), ...results() },
  ];
  if (before !== undefined) {
    const module = relative(ROOT, join(before, 'src/main.ts'));
    servers.push({ name: 'before', isService: true, start: service(module), ...results() });
  }
  if (gin !== undefined) {
    const env = { GOMAXPROCS: '1', QUEUE_SIZE: '100000' };
    servers.push({
      name: 'Gin',
      isService: false,
      start: () => startForeign(gin, env),
      ...results(),
    });
  }
  return servers;
}

async function load(
  { url, pid }: Running,
  method: Method,
  seconds: number,
  products: number,
  edition: number,
): Promise<Round> {
  const cpuMs = processCpuMs(pid);
  const result = await sendWrkLoad({
    url,
    method,
    products,
    edition,
    token: undefined,
    connections: CONNECTIONS,
    seconds,
    core: CLIENT_CORE,
  });
  const requests = result.requestsPerSecond * seconds;
  return { ...result, cpuUs: ((processCpuMs(pid) - cpuMs) * 1000) / requests };
}

async function runLife(size: BenchSize, servers: readonly Server[], folder: string): Promise<void> {
  const { coldSeconds, warmUps, rounds, seconds, products } = SIZES[size];
  const ids = productNames(size).slice(0, products);
  const running: { readonly server: Server; readonly process: Running }[] = [];
  for (const [i, server] of servers.entries()) {
    const process = await server.start(join(folder, String(i)));
    keepOnCore(process.pid, SERVER_CORE);
    running.push({ server, process });
    server.cold.push(await load(process, 'POST', coldSeconds, ids.length, 0));
  }
  for (let round = 1 - warmUps; round <= rounds; round++) {
    for (const method of METHODS) {
      for (const { server, process } of round % 2 === 0 ? running : running.toReversed()) {
        // An edition is never negative.
        const result = await load(process, method, seconds, ids.length, round + warmUps);
        if (round > 0) server.warm[method].push(result);
      }
    }
  }
  for (const { server, process } of running) {
    if (server.isService) await verifyProducts(process.url, ids, rounds + warmUps);
    await process.stop();
  }
}

function ratios(own: readonly Round[], other: readonly Round[]): number[] {
  return own.map((round, i) => round.requestsPerSecond / other[i].requestsPerSecond);
}

function table(
  title: string,
  servers: readonly Server[],
  pick: (server: Server) => readonly Round[],
): Table {
  const [bare] = servers;
  return {
    title,
    columns: [
      'server',
      'requests/s',
      'of node:http (quartiles)',
      'CPU µs per request',
      'p50 ms',
      'p99 ms',
    ],
    rows: servers.map((server) => {
      const own = pick(server);
      const all = ratios(own, pick(bare));
      const [low, high] = quartiles(all);
      const of = (value: (round: Round) => number) => figure(median(own.map(value)));
      return [
        server.name,
        of((round) => round.requestsPerSecond),
        `${median(all).toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`,
        of((round) => round.cpuUs),
        of((round) => round.p50Ms),
        of((round) => round.p99Ms),
      ];
    }),
  };
}

function aims([bare, service, ...others]: readonly Server[]): Aim[] {
  const aim = (
    what: string,
    own: readonly Round[],
    other: readonly Round[],
    wanted: number,
  ): Aim => ({
    what,
    measured: median(ratios(own, other)),
    wanted,
    better: 'higher',
    unit: '',
  });
  const all = [
    aim('durable POST on one core, of node:http', service.warm.POST, bare.warm.POST, 0.95),
    aim('GET on one core, of node:http', service.warm.GET, bare.warm.GET, 0.97),
    aim('durable POST, first seconds, of node:http', service.cold, bare.cold, 0.85),
  ];
  for (const { name, warm } of others) {
    const [post, get] = name === 'Gin' ? [0.8, 0.8] : [1.25, 1.12];
    all.push(aim(`durable POST on one core, of ${name}`, service.warm.POST, warm.POST, post));
    all.push(aim(`GET on one core, of ${name}`, service.warm.GET, warm.GET, get));
  }
  return all;
}

async function bench(size: BenchSize): Promise<Report> {
  const name = 'Single requests on one core';
  if (!hasWrk() || !hasCores()) {
    const conditions = ['not run: it takes wrk, taskset and two cores'];
    return { name, conditions, tables: [], aims: [], notes: [] };
  }
  const { lives, coldSeconds, rounds, warmUps, seconds, products } = SIZES[size];
  return withScratchFolder(async (folder) => {
    const servers = serversToCompare();
    for (let life = 0; life < lives; life++)
      await runLife(size, servers, join(folder, String(life)));
    return {
      name,
      conditions: [
        `${lives} lives of all servers; in each the first ${coldSeconds} s of POSTs, then ${rounds} rounds of ${seconds} s after ${warmUps} to warm up, none left out, in the opposite order of the round before; figures are medians of rounds, ratios are taken within a round`,
        `wrk with one thread and ${CONNECTIONS} connections on one core, each server with all its threads on another; ${figure(products)} products; CPU is that of all threads`,
      ],
      tables: [
        table('durable POST, warm', servers, ({ warm }) => warm.POST),
        table('GET, warm', servers, ({ warm }) => warm.GET),
        table(`durable POST, the first ${coldSeconds} s of a process`, servers, ({ cold }) => cold),
      ],
      aims: aims(servers),
      notes: [
        'The service flushes each event to disk before it answers; node:http and Gin keep nothing on disk.',
        'Every answer was a 2xx, and every product was read back with its last value.',
      ],
    };
  });
}

await runBench(bench);
