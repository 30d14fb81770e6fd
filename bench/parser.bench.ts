/**
 * The lines of a batch, from bytes into slots: the hot form beside JSON.parse alone.
 *
 *   this thread: NdjsonReader ─▶ a sink that counts, against JSON.parse of each line as a string
 *
 * Both read the same lines; every slot's price is summed and must agree.
 */
import { Buffer } from 'node:buffer';
import type { EventSink } from '../src/bulk/batch-reader.ts';
import { NdjsonReader } from '../src/bulk/ndjson-reader.ts';
import { batchEvents } from '../src/event/batch-event.ts';
import { SLOT_DOUBLES, SLOT_PRICE, SlotViews } from '../src/ring/slot.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';

const LINES = 20_000;
const CHUNK_BYTES = 64 * 1024;
const ROUNDS = { full: 60, smoke: 2 } as const;
const NS_PER_LINE_WANTED = 250;
const EVENTS = batchEvents(0);
const NOW_MS = 1_800_000_000_000;

const FORMS: readonly (readonly [string, (i: number) => string])[] = [
  ['price and stock', (i) => event(i, '')],
  ['with occurred_at in ms', (i) => event(i, `,"occurred_at":${1_767_225_600_000 + i}`)],
  [
    'with occurred_at as text',
    (i) => event(i, `,"occurred_at":"${new Date(1_767_225_600_000 + i).toISOString()}"`),
  ],
  ['the long way (an escape in the id)', (i) => event(i, '').replace('SKU', '\\u0053KU')],
];

function event(i: number, more: string): string {
  const price = ((i * 7919) % 1_000_000) / 100;
  return `{"product_id":"SKU-${String(i).padStart(8, '0')}","price":${price},"stock":${i % 50_000}${more}}\n`;
}

/** Accepts every event into one slot of a few, and adds up the prices. */
class Sum implements EventSink {
  readonly slots = new SlotViews(new SharedArrayBuffer(1024 * 128), 0, 1024);
  prices = 0;
  #next = 0;

  nextSlot(): number {
    this.#next = (this.#next + 1) & 1023;
    return this.#next;
  }

  accept(): boolean {
    this.prices += this.slots.doubles[this.#next * SLOT_DOUBLES + SLOT_PRICE];
    return true;
  }

  refuse(number: number): void {
    throw new Error(`line ${number} was refused`);
  }
}

function readAll(body: Buffer): number {
  const sum = new Sum();
  const reader = new NdjsonReader(EVENTS);
  for (let at = 0; at < body.length; at += CHUNK_BYTES) {
    const chunk = body.subarray(at, at + CHUNK_BYTES);
    for (let from = 0; from < chunk.length; ) {
      from += reader.fill(chunk, from);
      while (reader.read(sum, NOW_MS, NOW_MS) === 'more');
    }
  }
  return sum.prices;
}

function parseAll(body: Buffer): number {
  let prices = 0;
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf(0x0a, at);
    prices += (JSON.parse(body.toString('utf8', at, end)) as { price: number }).price;
    at = end + 1;
  }
  return prices;
}

/** Median ns for each line. */
function time(body: Buffer, rounds: number, work: (body: Buffer) => number, sum: number): number {
  const ns = Array.from({ length: rounds }, () => {
    const startMs = performance.now();
    if (work(body) !== sum) throw new Error('the prices do not add up');
    return ((performance.now() - startMs) * 1e6) / LINES;
  });
  return median(ns);
}

async function bench(size: BenchSize): Promise<Report> {
  const results = FORMS.map(([name, make]) => {
    const body = Buffer.from(Array.from({ length: LINES }, (_, i) => make(i)).join(''));
    const sum = parseAll(body);
    const readNs = time(body, ROUNDS[size], readAll, sum);
    const parseNs = time(body, ROUNDS[size], parseAll, sum);
    return { name, bytes: body.length / LINES, readNs, parseNs };
  });
  return {
    name: 'Parsing the lines of a batch',
    conditions: [`${figure(LINES)} lines, ${ROUNDS[size]} rounds, medians; in chunks of 64 KB`],
    tables: [
      {
        title: 'ns per line',
        columns: ['event', 'bytes', 'into a slot, checked', 'JSON.parse alone'],
        rows: results.map(({ name, bytes, readNs, parseNs }) => [
          name,
          figure(bytes),
          figure(readNs),
          figure(parseNs),
        ]),
      },
    ],
    aims: [
      {
        what: 'a line of price and stock, into a slot',
        measured: results[0].readNs,
        wanted: NS_PER_LINE_WANTED,
        better: 'lower',
        unit: 'ns',
      },
    ],
    notes: ['The prices of all lines were added up both ways, and agreed.'],
  };
}

await runBench(bench);
