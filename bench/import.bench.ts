/**
 * The command line's import over loopback, its own start included, and every event applied:
 *
 *   retail-client.ts ──the retail year, gzip from its file──▶ main.ts       in turns with
 *   import ──the same file──▶ main.ts                         and
 *   import ──the same year as CSV──▶ main.ts
 *
 *   import ──CSV of 10 million lines, 1 GB──▶ main.ts
 *
 * All on the same cores, a service of its own for each. What was taken is counted, and products are read back.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync, gzipSync } from 'node:zlib';
import { type CommandTaken, runCommand } from './support/command-run.ts';
import { readProducts } from './support/http-state.ts';
import { createRandom } from './support/random.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';

const SEED = 20_261_129;
const SIZES = {
  full: { year: 541_909, rounds: 3, few: 1_000_000, many: 10_000_000 },
  smoke: { year: 5_000, rounds: 1, few: 5_000, many: 40_000 },
} as const;
const PRODUCTS = 200_000;
const SAMPLE = 200;
const NAME = 'A name of some length as products have them in feeds '.padEnd(70, 'x');

const NDJSON_RATIO_WANTED = 1.5;
const CSV_RATIO_WANTED = 2.5;
const LINES_PER_SECOND_WANTED = 300_000;
/** What counts as flat: ten times the input may not take so much more. */
const MEMORY_RATIO_WANTED = 1.1;

interface YearEvent {
  readonly product_id: string;
  readonly price: number;
  readonly stock: number;
  readonly occurred_at: string;
}

interface Round {
  readonly client: number;
  readonly ndjson: number;
  readonly csv: number;
}

interface Table {
  readonly lines: number;
  readonly megabytes: number;
  readonly taken: CommandTaken;
}

/** Runs `work` with a service of its own. */
async function withService<T>(folder: string, work: (url: string) => Promise<T>): Promise<T> {
  const server = await ServerProcess.start('src/main.ts', { PORT: '0', DATA_DIR: folder });
  try {
    return await work(server.url);
  } finally {
    await server.stop();
  }
}

function imported(folder: string, url: string, file: string): Promise<CommandTaken> {
  const env = { PRODUCT_SERVICE_URL: url, XDG_STATE_HOME: join(folder, 'state') };
  return runCommand(['import', file, '--refused', join(folder, 'refused')], env);
}

function expectTaken({ stdout }: CommandTaken, events: number): void {
  const count = (word: string) =>
    Number(new RegExp(`([\\d,]+) ${word}`).exec(stdout)?.[1]?.replaceAll(',', ''));
  if (count('taken') + count('refused') !== events)
    throw new Error(`${events} events were sent, and ${stdout}`);
}

async function measureYear(folder: string, size: BenchSize): Promise<Round[]> {
  const given = process.env.RETAIL_EVENTS;
  const file = given ?? join(folder, 'year.ndjson.gz');
  if (given === undefined) writeFileSync(file, gzipSync(yearLines(SIZES[size].year)));
  const lines = gunzipSync(readFileSync(file)).toString().trimEnd().split('\n');
  const csv = join(folder, 'year.csv');
  writeFileSync(csv, asTable(lines));
  const last = lastStates(lines);
  const client = fileURLToPath(new URL('support/retail-client.ts', import.meta.url));
  const rounds: Round[] = [];
  for (let round = 0; round < SIZES[size].rounds; round++) {
    const clientSeconds = await withService(join(folder, `client-${round}`), async (url) => {
      const startMs = performance.now();
      execFileSync(process.execPath, [client, url, file]);
      return (performance.now() - startMs) / 1000;
    });
    const seconds: number[] = [];
    for (const each of [file, csv]) {
      const data = join(folder, `import-${round}-${seconds.length}`);
      const taken = await withService(data, async (url) => {
        const result = await imported(folder, url, each);
        await readProducts(url, last);
        return result;
      });
      expectTaken(taken, lines.length);
      seconds.push(taken.seconds);
    }
    const [ndjson, table] = seconds;
    rounds.push({ client: clientSeconds, ndjson, csv: table });
  }
  return rounds;
}

/** Events like those of the year: 4,000 products, a millisecond apart. */
function yearLines(events: number): string {
  const random = createRandom(SEED);
  const lines: string[] = [];
  for (let i = 0; i < events; i++) {
    const product_id = String(10_000 + (random() % 4_000));
    const occurred_at = new Date(1_291_191_960_000 + i).toISOString();
    lines.push(
      JSON.stringify({
        product_id,
        price: (random() % 10_000) / 100,
        stock: random() % 50_000,
        occurred_at,
      }),
    );
  }
  return `${lines.join('\n')}\n`;
}

function asTable(lines: readonly string[]): string {
  const rows = lines.map((line) => {
    const { product_id, price, stock, occurred_at } = JSON.parse(line) as YearEvent;
    return `${product_id},${price},${stock},${occurred_at}`;
  });
  return `product_id,price,stock,occurred_at\n${rows.join('\n')}\n`;
}

/** What some products are in the end, as GET answers: the latest event counts, of two alike the later one. */
function lastStates(lines: readonly string[]): string[] {
  const last = new Map<string, YearEvent>();
  for (const line of lines) {
    const event = JSON.parse(line) as YearEvent;
    // The year has prices below 0, which are refused.
    if (event.price < 0) continue;
    const before = last.get(event.product_id);
    const isLater =
      before === undefined || Date.parse(event.occurred_at) >= Date.parse(before.occurred_at);
    if (isLater) last.set(event.product_id, event);
  }
  const states = [...last.values()].slice(0, SAMPLE);
  return states.map(({ product_id: id, price, stock }) => JSON.stringify({ id, price, stock }));
}

async function measureTable(folder: string, lines: number): Promise<Table> {
  const file = join(folder, `table-${lines}.csv`);
  const last = writeTable(file, lines);
  const taken = await withService(join(folder, `data-${lines}`), async (url) => {
    const result = await imported(folder, url, file);
    await readProducts(url, last);
    return result;
  });
  expectTaken(taken, lines);
  return { lines, megabytes: statSync(file).size / 1e6, taken };
}

/** Writes a table of so many lines; returns what some products are in the end. */
function writeTable(file: string, lines: number): string[] {
  const fd = openSync(file, 'w');
  let text = 'sku,name,price,stock\n';
  for (let i = 0; i < lines; i++) {
    text += `SKU-${i % PRODUCTS},${NAME},${(i % 9_973) + 0.25},${i}\n`;
    if (text.length > 1 << 20) {
      writeSync(fd, text);
      text = '';
    }
  }
  writeSync(fd, text);
  closeSync(fd);
  return Array.from({ length: Math.min(SAMPLE, lines) }, (_, n) => {
    const i = lines - 1 - n;
    return JSON.stringify({ id: `SKU-${i % PRODUCTS}`, price: (i % 9_973) + 0.25, stock: i });
  });
}

async function bench(size: BenchSize): Promise<Report> {
  const { rounds: count, few, many } = SIZES[size];
  const [rounds, small, large] = await withScratchFolder(
    async (folder) =>
      [
        await measureYear(folder, size),
        await measureTable(folder, few),
        await measureTable(folder, many),
      ] as const,
  );
  const ratio = (pick: (round: Round) => number) =>
    median(rounds.map((round) => pick(round) / round.client));
  const source = process.env.RETAIL_EVENTS ?? 'generated events, as many as the retail year has';
  return {
    name: 'Import',
    conditions: [
      `retail year: ${source}; ${count} rounds, a fresh service for each import; client and service on the same ${availableParallelism()} cores`,
      `tables: ${figure(few)} and ${figure(many)} lines, ${figure(PRODUCTS)} products`,
    ],
    tables: [
      {
        title: 'Retail year, from file to applied state, seconds',
        columns: ['round', 'one batch (the bulk bench)', 'import', 'import as CSV'],
        rows: rounds.map(({ client, ndjson, csv }, i) => [
          String(i + 1),
          figure(client),
          figure(ndjson),
          figure(csv),
        ]),
      },
      {
        title: 'Tables',
        columns: ['lines', 'MB', 'seconds', 'lines/s', 'most memory of import, MB'],
        rows: [small, large].map(({ lines, megabytes, taken }) => [
          figure(lines),
          figure(megabytes),
          figure(taken.seconds),
          figure(lines / taken.seconds),
          figure(taken.memoryMb),
        ]),
      },
    ],
    aims: [
      {
        what: 'import of the retail year, of one batch',
        measured: ratio(({ ndjson }) => ndjson),
        wanted: NDJSON_RATIO_WANTED,
        better: 'lower',
        unit: '',
      },
      {
        what: 'import of the retail year as CSV, of one batch',
        measured: ratio(({ csv }) => csv),
        wanted: CSV_RATIO_WANTED,
        better: 'lower',
        unit: '',
      },
      {
        what: 'import of a large table',
        measured: large.lines / large.taken.seconds,
        wanted: LINES_PER_SECOND_WANTED,
        better: 'higher',
        unit: 'lines/s',
      },
      {
        what: 'memory of import, ten times the input',
        measured: large.taken.memoryMb / small.taken.memoryMb,
        wanted: MEMORY_RATIO_WANTED,
        better: 'lower',
        unit: '',
      },
    ],
    notes: [
      'Every line was counted in the answers, and products were read back after each import.',
    ],
  };
}

await runBench(bench);
