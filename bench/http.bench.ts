/**
 * HTTP: the durable service beside a bare Fastify app with the same schema and a Map.
 *
 *                          ┌─▶ bare-server.ts     Fastify, Map
 *   this process           ├─▶ main.ts            the service, ACK=durable
 *   autocannon, in turns ──┴─▶ main.ts            the service, ACK=accepted
 *
 *   round   1        2        3        4        …
 *   order   C B A    A B C    C B A    A B C       each load a second or so to each server
 *
 * All three run all the time. Client, servers and disk share the cores, so one run of a load says
 * little: each load is sent in many short rounds, to each server right after the other, in the
 * opposite order every time. One life of a process says little, too: the same server takes 36 µs of
 * CPU for a request in one life and 55 in the next. So all three are started anew several times.
 * Each round gives one ratio to the bare app; the median of all of them is the result, and no round
 * but the warm-up's is left out. At the end of each life every product is read back.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type autocannon from 'autocannon';
import { measureFlushes } from './flush.bench.ts';
import {
  type LoadResult,
  type LoadShape,
  loadShapes,
  productNames,
  reads,
  sendLoad,
  writes,
} from './support/http-load.ts';
import { verifyProducts } from './support/http-state.ts';
import { percentile } from './support/percentile.ts';
import { figure, median, quartiles, type Report, type Table } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';

const RATIO_WANTED = 0.95;

const SIZES = {
  full: { lives: 6, warmUps: 2, rounds: 4, ofMany: 320, ofOne: 1000, flushes: 1000 },
  smoke: { lives: 1, warmUps: 1, rounds: 1, ofMany: 16, ofOne: 100, flushes: 20 },
} as const;

interface Server {
  readonly name: string;
  /** The present life. */
  process: ServerProcess;
  readonly start: (life: number) => Promise<ServerProcess>;
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
  const bare = () => ServerProcess.start('bench/support/bare-server.ts', {});
  const service = (env: Readonly<Record<string, string>>) => (life: number) =>
    ServerProcess.start('src/main.ts', {
      PORT: '0',
      DATA_DIR: join(folder, `${env.ACK}-${life}`),
      ...env,
    });
  const durable = service({ ACK: 'durable' });
  // Nobody waits for the disk there, so a hiccup of the disk must find room in the queue.
  const accepted = service({ ACK: 'accepted', QUEUE_SIZE: '100000' });
  return [
    { name: 'bare Fastify', process: await bare(), start: bare },
    { name: 'service, durable', process: await durable(0), start: durable },
    { name: 'service, accepted', process: await accepted(0), start: accepted },
  ];
}

/** Every load once on each of its servers, in the opposite order of the round before; `isCounted` or to warm up. */
async function runRound(
  series: readonly Series[],
  ids: readonly string[],
  round: number,
  isCounted: boolean,
): Promise<void> {
  const requests: Record<Series['method'], autocannon.Request[]> = {
    POST: writes(ids, round),
    GET: reads(ids),
  };
  for (const { method, shape, servers, results } of series) {
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const { url, pid } = server.process;
      const result = await sendLoad(url, requests[method], shape, pid);
      if (isCounted) results.set(server, [...(results.get(server) ?? []), result]);
    }
  }
}

function table(series: Series): Table {
  const { name, method, servers, results } = series;
  return {
    title: `${method}, ${name}`,
    columns: [
      'server',
      'requests/s',
      'ratio (quartiles)',
      'lowest–highest',
      'p50 ms',
      'p99 ms',
      'p99.9 ms',
      'CPU µs per request',
      'of these the main thread',
    ],
    rows: servers.map((server) => {
      const own = results.get(server) ?? [];
      const ratios = ratiosOf(series, server);
      const [low, high] = quartiles(ratios);
      const of = (pick: (result: LoadResult) => number) => figure(median(own.map(pick)));
      return [
        server.name,
        of((result) => result.requestsPerSecond),
        `${median(ratios).toFixed(3)} (${low.toFixed(2)}–${high.toFixed(2)})`,
        `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
        of((result) => result.p50Ms),
        of((result) => result.p99Ms),
        of((result) => result.p999Ms),
        of((result) => result.cpuUs ?? 0),
        of((result) => result.mainThreadCpuUs ?? 0),
      ];
    }),
  };
}

/** A server's requests/s beside the bare app's in the same round, round by round. */
function ratiosOf({ servers: [bare], results }: Series, server: Server): number[] {
  const bareResults = results.get(bare) ?? [];
  const own = results.get(server) ?? [];
  return own.map((r, i) => r.requestsPerSecond / bareResults[i].requestsPerSecond);
}

async function bench(size: BenchSize): Promise<Report> {
  const { lives, warmUps, rounds, flushes, ...load } = SIZES[size];
  const ids = productNames(size);
  return withScratchFolder(async (folder) => {
    const servers = await startServers(folder);
    const [bare, durable] = servers;
    const { preallocatedUs } = measureFlushes(folder, flushes);
    const series: Series[] = (['POST', 'GET'] as const).flatMap((method) =>
      loadShapes(load).map(({ name, shape }) => ({
        name,
        method,
        shape,
        servers: method === 'POST' ? servers : [bare, durable],
        results: new Map(),
      })),
    );
    for (let life = 0; life < lives; life++) {
      if (life > 0) for (const server of servers) server.process = await server.start(life);
      // The first rounds bring every product in and warm everybody up.
      for (let round = 0; round < warmUps; round++) await runRound(series, ids, round, false);
      for (let round = 1; round <= rounds; round++) await runRound(series, ids, round, true);
      for (const { process } of servers) {
        await verifyProducts(process.url, ids, rounds);
        await process.stop();
      }
    }

    return {
      name: 'HTTP beside a bare Fastify app',
      conditions: [
        `${lives} lives of all servers, in each ${rounds} rounds after ${warmUps} to warm up, none left out; in each round every load goes to all servers in turns, in the opposite order of the round before; figures are medians of rounds, ratios are taken within a round`,
        `${figure(ids.length)} products, keep-alive, load generator on the same ${availableParallelism()} cores; the service with its defaults (3 workers), but for QUEUE_SIZE=100000 with ACK=accepted`,
      ],
      tables: series.map(table),
      aims: series
        .filter(({ method, shape }) => method === 'GET' || shape.connections > 1)
        .map((one) => ({
          what: `${one.method === 'POST' ? 'durable POST' : 'GET'}, ${one.name}, of bare`,
          measured: median(ratiosOf(one, one.servers[1])),
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
