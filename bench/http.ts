/**
 * HTTP: the durable service beside a bare Fastify app with the same schema and a Map.
 *
 *                          ┌─▶ bare-server.ts     Fastify, Map
 *   this process           ├─▶ main.ts            the service, ACK=durable
 *   autocannon, in turns ──┴─▶ main.ts            the service, ACK=accepted
 *
 * All three run all the time; each load goes to them one after the other, in changing order, and
 * each round gives one ratio to the bare app. At the end every product is read back from all three.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type autocannon from 'autocannon';
import { measureFlushes } from './flush.ts';
import {
  type LoadResult,
  type LoadShape,
  loadShapes,
  productNames,
  reads,
  sendLoad,
  writes,
} from './http-load.ts';
import { verifyProducts } from './http-state.ts';
import { percentile } from './percentile.ts';
import { figure, median, type Report, type Table } from './report.ts';
import { type BenchSize, runBench } from './run-bench.ts';
import { withScratchFolder } from './scratch-folder.ts';
import { ServerProcess } from './server-process.ts';

const RATIO_WANTED = 0.95;

const SIZES = {
  full: { rounds: 5, flushes: 1000 },
  smoke: { rounds: 1, flushes: 20 },
} as const;

interface Server {
  readonly name: string;
  readonly process: ServerProcess;
}

/** One load, and what came of it: the results of each server, round by round. */
interface Series {
  readonly name: string;
  readonly method: 'POST' | 'GET';
  readonly shape: LoadShape;
  readonly servers: readonly Server[];
  readonly results: Map<Server, LoadResult[]>;
}

async function startServers(folder: string): Promise<[Server, Server, Server]> {
  const service = (name: string, env: Readonly<Record<string, string>>) =>
    ServerProcess.start('src/main.ts', { PORT: '0', DATA_DIR: join(folder, name), ...env });
  return [
    { name: 'bare Fastify', process: await ServerProcess.start('bench/bare-server.ts', {}) },
    { name: 'service, durable', process: await service('durable', { ACK: 'durable' }) },
    // Nobody waits for the disk there, so a hiccup of the disk must find room in the queue.
    {
      name: 'service, accepted',
      process: await service('accepted', { ACK: 'accepted', QUEUE_SIZE: '100000' }),
    },
  ];
}

/** Every load once on each of its servers; the order turns with the round. */
async function runRound(
  series: readonly Series[],
  ids: readonly string[],
  round: number,
): Promise<void> {
  const requests: Record<Series['method'], autocannon.Request[]> = {
    POST: writes(ids, round),
    GET: reads(ids),
  };
  for (const { method, shape, servers, results } of series) {
    const inTurn = servers.map((_, i) => servers[(i + round) % servers.length]);
    for (const server of inTurn) {
      const { url, pid } = server.process;
      const result = await sendLoad(url, requests[method], shape, pid);
      results.set(server, [...(results.get(server) ?? []), result]);
    }
  }
}

function table({ name, method, servers, results }: Series): Table {
  const bare = results.get(servers[0]) ?? [];
  return {
    title: `${method}, ${name}`,
    columns: [
      'server',
      'requests/s',
      'ratio (lowest–highest)',
      'p50 ms',
      'p99 ms',
      'p99.9 ms',
      'CPU µs per request',
      'of these the main thread',
    ],
    rows: servers.map((server) => {
      const own = results.get(server) ?? [];
      const ratios = own.map((r, i) => r.requestsPerSecond / bare[i].requestsPerSecond);
      const of = (pick: (result: LoadResult) => number) => figure(median(own.map(pick)));
      return [
        server.name,
        of((result) => result.requestsPerSecond),
        `${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`,
        of((result) => result.p50Ms),
        of((result) => result.p99Ms),
        of((result) => result.p999Ms),
        of((result) => result.cpuUs ?? 0),
        of((result) => result.mainThreadCpuUs ?? 0),
      ];
    }),
  };
}

/** Median over the rounds of the service's requests/s beside the bare app's in the same round. */
function ratio({ servers: [bare, service], results }: Series): number {
  const bareResults = results.get(bare) ?? [];
  const own = results.get(service) ?? [];
  return median(own.map((r, i) => r.requestsPerSecond / bareResults[i].requestsPerSecond));
}

async function bench(size: BenchSize): Promise<Report> {
  const { rounds, flushes } = SIZES[size];
  const ids = productNames(size);
  return withScratchFolder(async (folder) => {
    const servers = await startServers(folder);
    const [bare, durable] = servers;
    const { preallocatedUs } = measureFlushes(folder, flushes);
    const series: Series[] = (['POST', 'GET'] as const).flatMap((method) =>
      loadShapes(size).map(({ name, shape }) => ({
        name,
        method,
        shape,
        servers: method === 'POST' ? servers : [bare, durable],
        results: new Map(),
      })),
    );
    // Edition 0 brings every product in and warms the servers up; it is not measured.
    const all: LoadShape = { connections: 50, pipelining: 1, requests: ids.length / 50 };
    for (const { process } of servers) {
      await sendLoad(process.url, writes(ids, 0), all);
      await sendLoad(process.url, reads(ids), all);
    }
    for (let round = 1; round <= rounds; round++) await runRound(series, ids, round);
    for (const { process } of servers) {
      await verifyProducts(process.url, ids, rounds);
      await process.stop();
    }

    return {
      name: 'HTTP beside a bare Fastify app',
      conditions: [
        `${rounds} rounds; in each, every load goes to all servers in turns; figures are medians of rounds, ratios are taken within a round`,
        `${figure(ids.length)} products, keep-alive, load generator on the same ${availableParallelism()} cores; the service with its defaults (3 workers), but for QUEUE_SIZE=100000 with ACK=accepted`,
      ],
      tables: series.map(table),
      aims: series
        .filter(({ shape }) => shape.connections > 1)
        .map((one) => ({
          what: `${one.method === 'POST' ? 'durable POST' : 'GET'}, ${one.name}, of bare`,
          measured: ratio(one),
          wanted: RATIO_WANTED,
          better: 'higher',
          unit: '',
        })),
      notes: [
        `A durable POST on one connection waits for one flush of its own: on this disk, in this run, ${figure(percentile(preallocatedUs, 50))} µs (median, write and fdatasync of one event). That is its floor; no wait for others can be shared.`,
        'No answer but 2xx came back, and every product was read back with its last value.',
      ],
    };
  });
}

await runBench(bench);
