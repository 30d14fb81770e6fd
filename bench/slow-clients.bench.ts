/**
 * What healthy clients notice of a thousand slow ones: the latency of POST and GET at a steady rate.
 *
 *   core 1                                      core 0
 *   paced clients (this process) ─────────────▶ main.ts
 *   slowhttptest ──┬── in one stretch ────────▶ main.ts
 *                  └── in the other ──▶ support/decoy-server.ts, on core 1 as well
 *
 * The tool and the clients share a core, so that the tool alone makes every latency longer. What the service
 * has to do with it is the difference between two stretches with the same tool: once the slow sockets
 * are the service's, once a server's that does nothing but hold as many and close them after the same time.
 * Both within one round, in the opposite order in the next. Every answer must be a 2xx.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { uploadBatch } from './support/batch-upload.ts';
import { percentile } from './support/percentile.ts';
import { figure, median, quartiles, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { hasCores, keepOnCore } from './support/wrk.ts';

const SIZES = {
  full: { rounds: 4, seconds: 11, sockets: 1000 },
  smoke: { rounds: 1, seconds: 2, sockets: 50 },
} as const;
const SERVER_CORE = 0;
const CLIENT_CORE = 1;
const PRODUCTS = 1000;
/** Each sends a POST and a GET in turns. */
const CLIENTS = 8;
const EVERY_MS = 5;
/** Sockets that the tool opens in a second, and when they are all there. */
const SOCKETS_PER_SECOND = 500;
/** After it the service closes what is slow, as does the decoy: within each stretch. */
const CLOSED_AFTER_SECONDS = 7;
const CLOSING = `${CLOSED_AFTER_SECONDS}s`;
const ENV = {
  HEADERS_TIMEOUT: CLOSING,
  REQUEST_TIMEOUT: CLOSING,
  ANSWER_TIMEOUT: CLOSING,
  // Otherwise the default is what the folder's owner may have.
  HTTP_MAX_CONNECTIONS: '4000',
};
const PAGE = '/api/v1/products?limit=1000&view=full';
const P99_RATIO_WANTED = 1.2;

/** slowhttptest's own names: headers, bodies and readers that take their time. */
const ATTACKS = [
  { name: 'headers', options: ['-H', '-t', 'GET'], path: '/' },
  {
    name: 'bodies',
    options: ['-B', '-t', 'POST', '-f', 'application/json'],
    path: '/api/v1/events',
  },
  { name: 'readers', options: ['-X', '-w', '10', '-y', '20', '-n', '2', '-z', '16'], path: PAGE },
] as const;
const METHODS = ['POST', 'GET'] as const;

type Attack = (typeof ATTACKS)[number];
type Method = (typeof METHODS)[number];
type Latencies = Readonly<Record<Method, { readonly p50Ms: number; readonly p99Ms: number }>>;

interface Pair {
  readonly decoy: Latencies;
  readonly service: Latencies;
}

function startTool(url: string, attack: Attack, seconds: number, sockets: number): ChildProcess {
  const pace = ['-i', '1', '-x', '10', '-c', `${sockets}`, '-r', `${SOCKETS_PER_SECOND}`];
  const args = [
    ...attack.options,
    ...pace,
    '-p',
    '30',
    '-l',
    `${seconds}`,
    '-u',
    url + attack.path,
  ];
  const command = ['taskset', '-c', `${CLIENT_CORE}`, 'slowhttptest', ...args];
  const tool = spawn(command[0] ?? '', command.slice(1), { stdio: 'ignore' });
  process.once('exit', () => tool.kill('SIGKILL'));
  return tool;
}

/** Sends one request; resolves to how long it took, in ms. Throws unless the answer is a 2xx. */
function timed(agent: Agent, url: string, method: Method, n: number): Promise<number> {
  const id = `p${n % PRODUCTS}`;
  const path = method === 'GET' ? `/api/v1/products/${id}` : '/api/v1/events';
  const headers = method === 'GET' ? {} : { 'content-type': 'application/json' };
  return new Promise((resolve, reject) => {
    const startMs = performance.now();
    const sent = request(`${url}${path}`, { agent, method, headers }, (response) => {
      const { statusCode = 0 } = response;
      if (statusCode < 200 || statusCode > 299) reject(new Error(`${method} ${statusCode}`));
      response.once('end', () => resolve(performance.now() - startMs)).resume();
    });
    sent.once('error', reject);
    sent.end(
      method === 'GET' ? undefined : JSON.stringify({ product_id: id, price: 1 + n, stock: n }),
    );
  });
}

/** Sends at the steady rate until `seconds` are over. */
async function measure(url: string, seconds: number): Promise<Latencies> {
  const agent = new Agent({ keepAlive: true, maxSockets: CLIENTS });
  const times: Record<Method, number[]> = { POST: [], GET: [] };
  const endMs = performance.now() + seconds * 1000;
  const client = async (first: number) => {
    const startMs = performance.now() + (first * EVERY_MS) / CLIENTS;
    for (let n = 0; performance.now() < endMs; n++) {
      const waitMs = startMs + n * EVERY_MS - performance.now();
      if (waitMs > 0) await setTimeout(waitMs);
      const method = METHODS[n % 2] ?? 'GET';
      times[method].push(await timed(agent, url, method, first + n * CLIENTS));
    }
  };
  await Promise.all(Array.from({ length: CLIENTS }, (_, i) => client(i)));
  agent.destroy();
  const of = (method: Method) => {
    const ascending = Float64Array.from(times[method]).sort();
    return { p50Ms: percentile(ascending, 50), p99Ms: percentile(ascending, 99) };
  };
  return { POST: of('POST'), GET: of('GET') };
}

/** Where the slow sockets go, and how many are open there. */
interface Target {
  readonly url: string;
  readonly connections: () => Promise<number>;
}

/** One stretch: the tool at `target`, the healthy clients at the service. Throws unless most of its sockets were there. */
async function stretch(
  service: string,
  target: Target,
  attack: Attack,
  { seconds, sockets }: { readonly seconds: number; readonly sockets: number },
): Promise<Latencies> {
  const tool = startTool(target.url, attack, seconds, sockets);
  const ended = once(tool, 'exit');
  const seen = setTimeout((seconds * 1000) / 2).then(target.connections);
  const latencies = await measure(service, seconds);
  tool.kill('SIGTERM');
  await ended;
  const open = await seen;
  if (open < sockets / 2)
    throw new Error(`${attack.name}: ${open} of ${sockets} sockets were open`);
  return latencies;
}

async function connectionsOf(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^product_service_http_connections (\d+)/m.exec(text)?.[1]);
}

function isInstalled(): boolean {
  return spawnSync('slowhttptest', ['-h'], { stdio: 'ignore' }).error === undefined;
}

async function bench(size: BenchSize): Promise<Report> {
  const name = 'Healthy clients beside a thousand slow ones';
  if (!hasCores() || !isInstalled()) {
    const conditions = ['not run: it takes slowhttptest, taskset and two cores'];
    return { name, conditions, tables: [], aims: [], notes: [] };
  }
  const plan = SIZES[size];
  keepOnCore(process.pid, CLIENT_CORE);
  return withScratchFolder(async (folder) => {
    const env = { PORT: '0', DATA_DIR: join(folder, 'data'), ...ENV };
    const server = await ServerProcess.start('src/main.ts', env);
    keepOnCore(server.pid, SERVER_CORE);
    const lines = Array.from(
      { length: PRODUCTS },
      (_, i) => `{"product_id":"p${i}","price":1,"stock":1}\n`,
    );
    await uploadBatch(server.url, '?ack=applied', [Buffer.from(lines.join(''))]);
    const decoy = await ServerProcess.start(
      'bench/support/decoy-server.ts',
      { CLOSE_AFTER_SECONDS: String(CLOSED_AFTER_SECONDS), ANSWER_URL: `${server.url}${PAGE}` },
      'ipc',
    );
    keepOnCore(decoy.pid, CLIENT_CORE);
    await measure(server.url, plan.seconds / 2);
    const atDecoy = {
      url: decoy.url,
      connections: async () => Number(await decoy.order('connections')),
    };
    const atService = { url: server.url, connections: () => connectionsOf(server.url) };
    const alone: Latencies[] = [];
    const pairs = new Map<string, Pair[]>(ATTACKS.map(({ name }) => [name, []]));
    for (let round = 0; round < plan.rounds; round++) {
      alone.push(await measure(server.url, plan.seconds / 2));
      for (const attack of ATTACKS) {
        const at = (target: Target) => stretch(server.url, target, attack, plan);
        const isEven = round % 2 === 0;
        const first = await at(isEven ? atDecoy : atService);
        const second = await at(isEven ? atService : atDecoy);
        const [quiet, loud] = isEven ? [first, second] : [second, first];
        pairs.get(attack.name)?.push({ decoy: quiet, service: loud });
      }
    }
    await server.stop();
    await decoy.kill();
    return report(name, plan, alone, pairs);
  });
}

function report(
  name: string,
  { rounds, seconds, sockets }: (typeof SIZES)[BenchSize],
  alone: readonly Latencies[],
  pairs: ReadonlyMap<string, readonly Pair[]>,
): Report {
  const ratios = (all: readonly Pair[], method: Method) =>
    all.map(({ decoy, service }) => service[method].p99Ms / decoy[method].p99Ms);
  const ms = (all: readonly Latencies[], method: Method) => [
    figure(median(all.map((one) => one[method].p50Ms))),
    figure(median(all.map((one) => one[method].p99Ms))),
  ];
  const rows = [...pairs].flatMap(([attack, all]) =>
    METHODS.map((method) => {
      const [low, high] = quartiles(ratios(all, method));
      return [
        `${method}, slow ${attack}`,
        ...ms(
          all.map(({ decoy }) => decoy),
          method,
        ),
        ...ms(
          all.map(({ service }) => service),
          method,
        ),
        `${figure(median(ratios(all, method)))} (${figure(low)}–${figure(high)})`,
      ];
    }),
  );
  return {
    name,
    conditions: [
      `${rounds} rounds of stretches of ${seconds} s; medians of rounds, ratios are taken within a round`,
      `slowhttptest with ${sockets} sockets, closed after ${CLOSED_AFTER_SECONDS} s by whoever has them; ${CLIENTS} healthy clients with one request each ${EVERY_MS} ms, POST (durable) and GET in turns, on the tool's core; the service on the other core`,
    ],
    tables: [
      {
        title: 'Latency, ms',
        columns: ['load', 'decoy: p50', 'p99', 'service: p50', 'p99', 'ratio of p99 (quartiles)'],
        rows,
      },
      {
        title: 'Without slow clients, ms',
        columns: ['load', 'p50', 'p99'],
        rows: METHODS.map((method) => [method, ...ms(alone, method)]),
      },
    ],
    aims: [...pairs].flatMap(([attack, all]) =>
      METHODS.map((method) => ({
        what: `p99 of a ${method}, slow ${attack} at the service, of those with them at the decoy`,
        measured: median(ratios(all, method)),
        wanted: P99_RATIO_WANTED,
        better: 'lower' as const,
        unit: '',
      })),
    ),
    notes: ['Every answer to a healthy client was a 2xx.'],
  };
}

await runBench(bench);
