/**
 * Bulk over HTTP: one client, one connection, NDJSON, the log flushed and every event applied.
 *
 *   this process ──POST /api/v1/events/batch?on_error=continue──▶ main.ts     in turns with
 *   redis-benchmark ──HSET, 16 clients, 100 in a pipeline──▶ redis-server, appendfsync always
 *
 *   retail-client.ts ──the retail year, gzip from its file──▶ main.ts
 *
 * All on the same cores. A sample of the products is read back after each run, the whole state after
 * the retail year.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { batchProducts, batchValue, passBlocks } from './support/batch-body.ts';
import { uploadBatch } from './support/batch-upload.ts';
import { readProducts } from './support/http-state.ts';
import { createRandom } from './support/random.ts';
import { RedisProcess, redisVersion } from './support/redis-process.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { mainThreadCpuMs, processCpuMs } from './support/thread-times.ts';

const SEED = 20_261_125;
const SIZES = {
  full: { products: 200_000, passes: 10, rounds: 5, redisCommands: 1_000_000, sample: 5_000 },
  smoke: { products: 2_000, passes: 2, rounds: 1, redisCommands: 4_000, sample: 200 },
} as const;
const RETAIL_EVENTS = 541_909;

const EVENTS_PER_SECOND_WANTED = 1_000_000;
const REDIS_RATIO_WANTED = 5;
const RETAIL_SECONDS_WANTED = 1.5;

interface Round {
  readonly durable: number;
  readonly applied: number;
  readonly redis: number | undefined;
  /** Of the service, for each event of the applied upload. */
  readonly cpuUs: number;
  readonly mainThreadCpuUs: number;
}

async function measure(folder: string, size: BenchSize): Promise<Round[]> {
  const { products, passes, rounds, sample } = SIZES[size];
  const ids = batchProducts(products);
  const blocks = Array.from({ length: passes }, (_, pass) => passBlocks(ids, pass, SEED + pass));
  const body = blocks.flat();
  const events = products * passes;
  const env = { PORT: '0', DATA_DIR: join(folder, 'data') };
  const server = await ServerProcess.start('src/main.ts', env);
  const expected = Array.from({ length: sample }, (_, i) => {
    const product = Math.floor((i * products) / sample);
    return JSON.stringify({ id: ids[product], ...batchValue(product, passes - 1) });
  });
  const upload = async (query: string) => {
    const answer = await uploadBatch(server.url, `?on_error=continue${query}`, body);
    if (answer.accepted !== events || answer.rejected !== 0) {
      throw new Error(`${answer.accepted} of ${events} events were taken`);
    }
    return answer.seconds;
  };
  await upload('');
  const results: Round[] = [];
  for (let round = 0; round < rounds; round++) {
    const durable = events / (await upload('&ack=durable'));
    const cpuBefore = [processCpuMs(server.pid), mainThreadCpuMs(server.pid)];
    const applied = events / (await upload('&ack=applied'));
    const cpuUs = [processCpuMs(server.pid), mainThreadCpuMs(server.pid)].map(
      (ms, i) => ((ms - cpuBefore[i]) * 1000) / events,
    );
    await readProducts(server.url, expected);
    const redis = redisVersion() === undefined ? undefined : await redisRate(folder, round, size);
    results.push({ durable, applied, redis, cpuUs: cpuUs[0], mainThreadCpuUs: cpuUs[1] });
  }
  await server.stop();
  return results;
}

/** Durable HSETs a second, two fields each, of a server that flushes before it replies. */
async function redisRate(folder: string, round: number, size: BenchSize): Promise<number> {
  const { products, redisCommands } = SIZES[size];
  const data = join(folder, `redis-${round}`);
  execFileSync('mkdir', ['-p', data]);
  const redis = await RedisProcess.start(data, 'always');
  const args = `-p ${redis.port} -P 100 -c 16 -n ${redisCommands} -r ${products} --csv`.split(' ');
  const command = ['HSET', 'SKU-__rand_int__', 'price', '49.99', 'stock', '12345'];
  const output = execFileSync('redis-benchmark', [...args, ...command], { encoding: 'utf8' });
  await redis.stop();
  const rate = Number(/^"HSET[^"]*","([\d.]+)"/m.exec(output)?.[1]);
  if (!(rate > 0)) throw new Error(`redis-benchmark said ${output}`);
  return rate;
}

interface Retail {
  readonly seconds: number;
  readonly source: string;
  readonly rejected: number;
}

/** The year from its file to applied state, the start of the client included. */
async function measureRetail(folder: string, size: BenchSize): Promise<Retail[]> {
  const given = process.env.RETAIL_EVENTS;
  const file = given ?? join(folder, 'retail-events.ndjson.gz');
  const source = given === undefined ? 'generated events, as many as the retail year has' : given;
  if (given === undefined) writeFileSync(file, generatedYear(size));
  const client = fileURLToPath(new URL('support/retail-client.ts', import.meta.url));
  const results: Retail[] = [];
  for (let round = 0; round < SIZES[size].rounds; round++) {
    const env = { PORT: '0', DATA_DIR: join(folder, `retail-${round}`) };
    const server = await ServerProcess.start('src/main.ts', env);
    const startMs = performance.now();
    const output = execFileSync(process.execPath, [client, server.url, file], { encoding: 'utf8' });
    const seconds = (performance.now() - startMs) / 1000;
    const { accepted, rejected } = JSON.parse(output);
    if (given !== undefined && accepted + rejected !== RETAIL_EVENTS) {
      throw new Error(`${accepted} + ${rejected} events, expected ${RETAIL_EVENTS}`);
    }
    const final = file.replace('events', 'final');
    if (given !== undefined && existsSync(final)) {
      const states = gunzipSync(readFileSync(final)).toString().trimEnd().split('\n');
      await readProducts(
        server.url,
        states.map((text) => JSON.stringify(JSON.parse(text))),
      );
    }
    await server.stop();
    results.push({ seconds, source, rejected });
  }
  return results;
}

/** Events like those of the year: 4,000 products, a millisecond apart. */
function generatedYear(size: BenchSize): Buffer {
  const random = createRandom(SEED);
  const events = size === 'full' ? RETAIL_EVENTS : 5_000;
  const lines: string[] = [];
  for (let i = 0; i < events; i++) {
    const product_id = String(10_000 + (random() % 4_000));
    const occurred_at = new Date(1_291_191_960_000 + i).toISOString();
    const price = (random() % 10_000) / 100;
    lines.push(JSON.stringify({ product_id, price, stock: random() % 50_000, occurred_at }));
  }
  return gzipSync(`${lines.join('\n')}\n`);
}

async function bench(size: BenchSize): Promise<Report> {
  const { products, passes, rounds } = SIZES[size];
  const [results, retail] = await withScratchFolder(
    async (folder) => [await measure(folder, size), await measureRetail(folder, size)] as const,
  );
  const ratios = results.flatMap(({ applied, redis }) =>
    redis === undefined ? [] : applied / redis,
  );
  const of = (pick: (round: Round) => number) => median(results.map(pick));
  const redis = redisVersion();
  return {
    name: 'Bulk over HTTP',
    conditions: [
      `${rounds} rounds of ${figure(products * passes)} events in one body, each product ${passes} times in random order; one connection, defaults of the service, the client on the same ${availableParallelism()} cores`,
      redis === undefined
        ? 'redis-server is not installed, so there is no comparison'
        : `Redis ${redis}: appendonly yes, appendfsync always; redis-benchmark -P 100 -c 16, HSET of two fields, ${figure(products)} keys, in turns with the service`,
      `retail year: ${retail[0].source}`,
    ],
    tables: [
      {
        title: 'Rounds',
        columns: [
          'round',
          'durable events/s',
          'applied events/s',
          'Redis HSET/s',
          'applied, of Redis',
          'CPU µs per event',
          'of these the main thread',
        ],
        rows: results.map(({ durable, applied, redis, cpuUs, mainThreadCpuUs }, i) => [
          String(i + 1),
          figure(durable),
          figure(applied),
          redis === undefined ? '–' : figure(redis),
          redis === undefined ? '–' : figure(applied / redis),
          figure(cpuUs),
          figure(mainThreadCpuUs),
        ]),
      },
      {
        title: 'Retail year, from file to applied state',
        columns: ['round', 'seconds', 'rejected'],
        rows: retail.map(({ seconds, rejected }, i) => [
          String(i + 1),
          figure(seconds),
          String(rejected),
        ]),
      },
    ],
    aims: [
      {
        what: 'bulk, durable and applied',
        measured: of((round) => round.applied),
        wanted: EVENTS_PER_SECOND_WANTED,
        better: 'higher',
        unit: 'events/s',
      },
      ...(ratios.length === 0
        ? []
        : [
            {
              what: 'bulk, of Redis with appendfsync always',
              measured: median(ratios),
              wanted: REDIS_RATIO_WANTED,
              better: 'higher' as const,
              unit: '',
            },
          ]),
      {
        what: 'retail year, from file to applied state',
        measured: median(retail.map(({ seconds }) => seconds)),
        wanted: RETAIL_SECONDS_WANTED,
        better: 'lower',
        unit: 's',
      },
    ],
    notes: [
      'Every event was counted in the answers, and products were read back after each round.',
    ],
  };
}

await runBench(bench);
