/**
 * `export`: all products in one stream, or with `--since` those that changed, each in its present state.
 * Nothing is kept in memory. A file is written beside its place and moved there when it is whole. Main thread.
 *
 * A change whose `version` is its `seq` is the last one of its product so far; the others are left out, so
 * a product stands there once, or once more for each change that came while the export ran, the last one last.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream, rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { openCatalogue } from './catalogue-lines.ts';
import {
  type CommandContext,
  CommandError,
  choiceOf,
  countOf,
  hasFlag,
  type OptionValues,
  textOf,
  UsageError,
} from './command.ts';
import { ServiceClient } from './service-client.ts';

const FORMATS = ['ndjson', 'csv'] as const;
const PAGE_CHANGES = 10_000;
const WRITE_CHARS = 64 * 1024;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const COLUMNS = ['id', 'price', 'stock'] as const;
const FULL_COLUMNS = ['seq', 'price_at', 'stock_at', 'updated_at'] as const;

type Row = Readonly<Record<string, string | number | boolean | null | undefined>>;

interface Change {
  readonly seq: number;
  readonly version: number;
  readonly product_id: string;
  readonly price: number | null;
  readonly stock: number | null;
  readonly deleted: boolean;
}

interface ChangePage {
  readonly changes: readonly Change[];
  readonly next_since: number;
  readonly reset: boolean;
}

export async function run({ values, environment }: CommandContext): Promise<number> {
  const format = choiceOf(values, 'format', FORMATS) ?? 'ndjson';
  const since = countOf(values, 'since');
  if (since !== undefined && hasFlag(values, 'full')) {
    throw new UsageError('--full goes without --since');
  }
  const client = ServiceClient.from(values, environment);
  const target = textOf(values, 'output');
  const text = since === undefined ? products(client, values) : changes(client, values, since);
  const lines = format === 'csv' ? asCsv(text, columnsOf(values, since)) : asJson(text);
  if (target === undefined) await written(lines, process.stdout);
  else await writtenToFile(lines, target);
  client.close();
  return 0;
}

function columnsOf(values: OptionValues, since: number | undefined): readonly string[] {
  if (since !== undefined) return [...COLUMNS, 'deleted', 'seq'];
  return hasFlag(values, 'full') ? [...COLUMNS, ...FULL_COLUMNS] : COLUMNS;
}

/** Every product; says on standard error which seq to go on from. */
async function* products(client: ServiceClient, values: OptionValues): AsyncGenerator<Row> {
  const path = `/api/v1/products${hasFlag(values, 'full') ? '?view=full' : ''}`;
  const { seq, lines } = await openCatalogue(client, path);
  for await (const line of lines) yield JSON.parse(line) as Row;
  sayNext(seq);
}

/** What changed behind `since`; everything where the log does not reach back so far. */
async function* changes(
  client: ServiceClient,
  values: OptionValues,
  since: number,
): AsyncGenerator<Row> {
  for (let at = since; ; ) {
    const path = `/api/v1/changes?since=${at}&limit=${PAGE_CHANGES}`;
    const page = JSON.parse((await client.ask({ path })).text) as ChangePage;
    if (page.reset) {
      const reason = `the log does not reach back to ${at}: all products follow; those that are not among them are delisted`;
      process.stderr.write(`product-service: ${reason}\n`);
      for await (const row of products(client, { ...values, full: true })) {
        const { id, price, stock, seq } = row;
        yield { id, price, stock, deleted: false, seq };
      }
      return;
    }
    for (const { product_id: id, price, stock, deleted, seq, version } of page.changes) {
      if (seq === version) yield { id, price, stock, deleted, seq };
    }
    if (page.next_since === at) return sayNext(at);
    at = page.next_since;
  }
}

function sayNext(seq: string | number): void {
  process.stderr.write(`product-service: what changes from here on: export --since ${seq}\n`);
}

async function* asJson(rows: AsyncIterable<Row>): AsyncGenerator<string> {
  for await (const row of rows) yield `${JSON.stringify(row)}\n`;
}

async function* asCsv(
  rows: AsyncIterable<Row>,
  columns: readonly string[],
): AsyncGenerator<string> {
  yield `${columns.join(',')}\n`;
  for await (const row of rows) yield `${columns.map((name) => cell(row[name])).join(',')}\n`;
}

/** RFC 4180; absent is empty, which an import takes for no news. */
function cell(value: Row[string]): string {
  const text = value === null || value === undefined ? '' : String(value);
  return /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

async function written(lines: AsyncIterable<string>, target: Writable): Promise<void> {
  let pending = '';
  const flush = async () => {
    if (!target.write(pending)) await once(target, 'drain');
    pending = '';
  };
  for await (const line of lines) {
    pending += line;
    if (pending.length >= WRITE_CHARS) await flush();
  }
  if (pending !== '') await flush();
}

/** There is no half of a file under its name, whatever ends this. */
async function writtenToFile(lines: AsyncIterable<string>, path: string): Promise<void> {
  const partial = `${path}.${randomBytes(6).toString('hex')}.part`;
  const file = createWriteStream(partial, { flags: 'wx', flush: true });
  const release = removedBySignals(partial);
  try {
    await once(file, 'open');
    await written(lines, file);
    file.end();
    await finished(file);
    await rename(partial, path);
  } catch (error) {
    file.destroy();
    rmSync(partial, { force: true });
    if (error instanceof Error && 'syscall' in error) {
      throw new CommandError(`${path}: ${error.message}`);
    }
    throw error;
  } finally {
    release();
  }
}

/** An export that is interrupted leaves nothing, and ends as the signal says. */
function removedBySignals(path: string): () => void {
  const end = (signal: NodeJS.Signals) => {
    rmSync(path, { force: true });
    release();
    process.kill(process.pid, signal);
  };
  const release = () => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  return release;
}
