/**
 * Whether one importer starves the rest: single POSTs alone, and while a bulk import runs.
 *
 *   this process, autocannon ──POST /api/v1/events──▶ main.ts, ACK=durable
 *   import-client.ts ──POST /api/v1/events/batch, without end──▶   "    every other time
 *
 * Quiet and busy take turns on one server. At the end every product is read back.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type LoadResult,
  type LoadShape,
  productNames,
  sendLoad,
  writes,
} from './support/http-load.ts';
import { verifyProducts } from './support/http-state.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';

const RATIO_WANTED = 3;
const SIZES = {
  full: { rounds: 4, posts: 6400, products: 200_000, passes: 2 },
  smoke: { rounds: 1, posts: 320, products: 1_000, passes: 1 },
} as const;
const CONNECTIONS = [16, 64];

interface Round {
  readonly connections: number;
  readonly quiet: LoadResult;
  readonly busy: LoadResult;
  readonly importedPerSecond: number;
}

/** Runs `work` while an import runs; returns what it took, and the events imported each second. */
async function whileImporting<T>(url: string, size: BenchSize, work: () => Promise<T>) {
  const { products, passes } = SIZES[size];
  const module = fileURLToPath(new URL('support/import-client.ts', import.meta.url));
  const child = fork(module, [url, String(products), String(passes)]);
  const kill = () => void child.kill('SIGKILL');
  process.once('exit', kill);
  await once(child, 'message');
  const result = await work();
  const told = once(child, 'message');
  child.send('stop');
  const [{ events, seconds }] = (await told) as [{ events: number; seconds: number }];
  process.off('exit', kill);
  return { result, importedPerSecond: events / seconds };
}

async function bench(size: BenchSize): Promise<Report> {
  const { rounds, posts } = SIZES[size];
  const ids = productNames(size);
  const results: Round[] = [];
  await withScratchFolder(async (folder) => {
    const env = { PORT: '0', DATA_DIR: join(folder, 'data') };
    const server = await ServerProcess.start('src/main.ts', env);
    const { url } = server;
    const all: LoadShape = { connections: 50, pipelining: 1, requests: ids.length / 50 };
    await sendLoad(url, writes(ids, 0), all);
    await whileImporting(url, size, () => sendLoad(url, writes(ids, 0), all));
    for (let round = 1; round <= rounds; round++) {
      for (const connections of CONNECTIONS) {
        const shape = { connections, pipelining: 1, requests: posts / connections };
        const quiet = await sendLoad(url, writes(ids, round), shape);
        const busy = await whileImporting(url, size, () =>
          sendLoad(url, writes(ids, round), shape),
        );
        const { result, importedPerSecond } = busy;
        results.push({ connections, quiet, busy: result, importedPerSecond });
      }
    }
    await sendLoad(url, writes(ids, rounds), all);
    await verifyProducts(url, ids, rounds);
    await server.stop();
  });
  const of = (connections: number, pick: (round: Round) => number) =>
    median(results.filter((round) => round.connections === connections).map(pick));
  return {
    name: 'Single events beside a bulk import',
    conditions: [
      `${rounds} rounds, quiet and busy in turns; medians; ratios are taken within a round`,
      `durable single POSTs on keep-alive connections, each the next when it is answered; the import is one connection without a pause; all on the same ${availableParallelism()} cores`,
    ],
    tables: [
      {
        title: 'POST latency',
        columns: [
          'connections',
          'quiet p50 ms',
          'busy p50 ms',
          'quiet p99 ms',
          'busy p99 ms',
          'p99, of quiet',
          'quiet POST/s',
          'busy POST/s',
          'imported events/s',
        ],
        rows: CONNECTIONS.map((n) => [
          String(n),
          figure(of(n, ({ quiet }) => quiet.p50Ms)),
          figure(of(n, ({ busy }) => busy.p50Ms)),
          figure(of(n, ({ quiet }) => quiet.p99Ms)),
          figure(of(n, ({ busy }) => busy.p99Ms)),
          figure(of(n, ({ quiet, busy }) => busy.p99Ms / quiet.p99Ms)),
          figure(of(n, ({ quiet }) => quiet.requestsPerSecond)),
          figure(of(n, ({ busy }) => busy.requestsPerSecond)),
          figure(of(n, ({ importedPerSecond }) => importedPerSecond)),
        ]),
      },
    ],
    aims: CONNECTIONS.map((n) => ({
      what: `p99 of a POST during an import, ${n} connections, of quiet`,
      measured: of(n, ({ quiet, busy }) => busy.p99Ms / quiet.p99Ms),
      wanted: RATIO_WANTED,
      better: 'lower',
      unit: '',
    })),
    notes: ['No answer but 2xx came back, and every product was read back with its last value.'],
  };
}

await runBench(bench);
