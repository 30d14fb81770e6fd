/** Batches in both forms, cut into chunks anywhere: every event is seen once, in order. */
import { Buffer } from 'node:buffer';
import t from 'tap';
import { ArrayReader } from '../../src/bulk/array-reader.ts';
import {
  type BatchReader,
  EVENT_BYTES_MAX,
  type EventSink,
  type ReadState,
} from '../../src/bulk/batch-reader.ts';
import { NdjsonReader } from '../../src/bulk/ndjson-reader.ts';
import type { BodyFault } from '../../src/errors/problems.ts';
import { batchEvents } from '../../src/event/batch-event.ts';
import { describeSlot, SlotViews } from '../../src/ring/slot.ts';
import { Random } from '../helpers/models/random.ts';

const EVENTS = batchEvents(0);
const NOW_MS = 1_800_000_000_000;

/** Writes down what comes; takes events as long as `room` lasts, and puts each off `putOff` times. */
class Recorder implements EventSink {
  readonly slots = new SlotViews(new ArrayBuffer(128), 0, 1);
  readonly told: string[] = [];
  readonly orders: number[] = [];
  room = Number.POSITIVE_INFINITY;
  putOff = 0;
  #puttingOff = 0;

  nextSlot(): number {
    return this.room > 0 ? 0 : -1;
  }

  accept(number: number, order: number, eventId: string | undefined): boolean {
    if (this.#puttingOff++ < this.putOff) return false;
    this.#puttingOff = 0;
    this.room--;
    const { productId, price, stock } = describeSlot(this.slots, 0);
    this.told.push(
      [number, productId, price, stock, eventId].filter((x) => x !== undefined).join(),
    );
    this.orders.push(order);
    return true;
  }

  refuse(number: number, faults: readonly BodyFault[]): void {
    this.told.push(`${number} ${faults.map(({ pointer, detail }) => pointer + detail).join()}`);
    this.orders.push(-1);
  }
}

interface Run {
  readonly told: readonly string[];
  readonly orders: readonly number[];
  readonly state: ReadState;
  readonly malformation: string;
}

/** Reads `body` in chunks of random sizes up to `chunkMax`; the sink blocks now and then. */
function readAll(
  reader: BatchReader,
  body: Buffer,
  random: Random,
  chunkMax = 20,
  sink = new Recorder(),
): Run {
  let state: ReadState = 'hungry';
  const readOn = () => {
    do {
      state = reader.read(sink, NOW_MS, NOW_MS);
      if (state === 'blocked') sink.room = random.integer(1, 3);
    } while (state === 'blocked' || state === 'more');
  };
  for (let at = 0; at < body.length && state === 'hungry'; ) {
    const chunk = body.subarray(at, at + random.integer(1, chunkMax));
    for (let from = 0; from < chunk.length && state === 'hungry'; ) {
      from += reader.fill(chunk, from);
      readOn();
    }
    at += chunk.length;
  }
  if (state === 'hungry') {
    reader.end();
    readOn();
  }
  return {
    told: sink.told,
    orders: sink.orders,
    state,
    malformation: reader.malformation?.message ?? '',
  };
}

const random = new Random();
const event = (n: number) => `{"product_id":"p${n}","price":${n},"stock":${n}}`;
const long = (bytes: number) => event(1).replace('{', `{${' '.repeat(bytes - event(1).length)}`);
const READERS = { ndjson: () => new NdjsonReader(EVENTS), array: () => new ArrayReader(EVENTS) };

/** Reads it whole, byte by byte and in random pieces; all must be the same. */
function readEveryWay(t: Tap, form: keyof typeof READERS, body: string | Buffer): Run {
  const bytes = Buffer.from(body);
  const whole = readAll(READERS[form](), bytes, random, bytes.length || 1);
  for (let i = 0; i < 20; i++) {
    const sink = new Recorder();
    sink.room = 1;
    sink.putOff = i % 3;
    t.strictSame(readAll(READERS[form](), bytes, random, 1 + i * i, sink), whole);
  }
  return whole;
}
type Tap = Pick<typeof t, 'strictSame'>;

t.test(`reads lines (SEED=${random.seed})`, async (t) => {
  const escaped = '{"product_id":"\\u0070","price":1,"stock":1,"event_id":"e"}';
  const body = [
    event(1),
    `${event(2)}\r`,
    '',
    ' \t\r',
    'nonsense',
    `  ${event(6)}  `,
    escaped,
    `${event(8)} x`,
    '{"product_id":"p","price":1,"stock":1,"event_id":"e 9"}',
    '{"product_id":"p","price":1',
    ',"stock":1}',
    event(12),
  ].join('\n');
  for (const end of ['', '\n', '\r\n', '\n\n\n']) {
    const { told, orders, state } = readEveryWay(t, 'ndjson', body + end);
    t.equal(state, 'done');
    t.strictSame(told, [
      '1,p1,1,1',
      '2,p2,2,2',
      '5 The event is not valid JSON: the fault is at character 1, counted from 0.',
      '6,p6,6,6',
      '7,p,1,1,e',
      '8 The event is not valid JSON: the fault is at character 40, counted from 0.',
      '9,p,1,1,e 9',
      told[7],
      told[8],
      '12,p12,12,12',
    ]);
    t.match(told[7], /^10 The event is not valid JSON/);
    t.match(told[8], /^11 The event is not valid JSON/);
    t.strictSame(orders, [0, 1, -1, 3, 4, -1, 6, -1, -1, 9]);
  }
});

t.test('reads the elements of an array', async (t) => {
  const body = `\n[ ${event(1)},\n\t${event(2).replaceAll(',', ' ,\n')}\n,{"product_id":"]}\\"","price":1,"stock":1},"a,]", 7
    , null,[[1],{"a":"]"}],{"x":{}},${event(9)}]  \n`;
  const { told, state } = readEveryWay(t, 'array', body);
  t.equal(state, 'done');
  t.strictSame(told.slice(0, 3), ['1,p1,1,1', '2,p2,2,2', '3,]}",1,1']);
  for (const n of [4, 5, 6, 7]) t.equal(told[n - 1], `${n} The body must be a JSON object.`);
  t.match(told[7], /^8 .*\/xThis member is unknown/);
  t.equal(told[8], '9,p9,9,9');
});

t.test('reads batches without an event', async (t) => {
  for (const body of ['', '\n', ' \r\n\n\t']) {
    t.strictSame(readEveryWay(t, 'ndjson', body).told, []);
  }
  const { told, state } = readEveryWay(t, 'array', ' [ ] ');
  t.strictSame(told, []);
  t.equal(state, 'done');
});

t.test('passes over byte order marks before a body, and before any line', async (t) => {
  const bom = '\ufeff';
  const files = [`${bom}${event(1)}\n`, bom, `${bom}${event(2)}\r\n`, `${bom}\n`];
  for (const body of [files.join(''), `${files.join('')}${bom}${bom} ${event(4)}`]) {
    const { told, state } = readEveryWay(t, 'ndjson', body);
    t.equal(state, 'done');
    t.strictSame(told, ['1,p1,1,1', '2,p2,2,2', '4,p4,4,4'].slice(0, body.includes('p4') ? 3 : 2));
  }
  t.strictSame(readEveryWay(t, 'ndjson', bom).told, []);
  const { told } = readEveryWay(t, 'array', `${bom} [${event(1)}]`);
  t.strictSame(told, ['1,p1,1,1']);
  // Inside a line, behind a blank, in part: it is no mark there.
  for (const line of [
    ` ${bom}${event(1)}`,
    `${event(1)}${bom}`,
    Buffer.from(`${bom}${event(1)}`).subarray(1),
    Buffer.from(bom).subarray(0, 2),
  ]) {
    const { told } = readEveryWay(t, 'ndjson', line);
    t.match(told, [/^1 The event is not valid/]);
    t.equal(told.length, 1);
  }
  const part = readEveryWay(t, 'array', Buffer.from(bom).subarray(0, 2));
  t.match(part.malformation, /must be a JSON array/);
});

t.test('takes a longest line behind a byte order mark', async (t) => {
  const { told } = readAll(
    READERS.ndjson(),
    Buffer.from(`\ufeff${long(EVENT_BYTES_MAX)}`),
    random,
    5000,
  );
  t.strictSame(told, ['1,p1,1,1']);
});

t.test('says why a body is no array, after what came before', async (t) => {
  const cases: [string, number, RegExp][] = [
    ['', 0, /ends too early/],
    ['  ', 0, /ends too early/],
    ['{}', 0, /must be a JSON array/],
    [' \ufeff[]', 0, /must be a JSON array/],
    ['\ufeff\ufeff[]', 0, /must be a JSON array/],
    ['\ufeff', 0, /ends too early/],
    [`[\ufeff${event(1)}]`, 1, /behind event 1/],
    ['[', 0, /ends too early/],
    [`[${event(1)}`, 1, /ends too early/],
    [`[${event(1)},`, 1, /ends too early/],
    [`[${event(1)},]`, 1, /behind event 1/],
    [`[,${event(1)}]`, 0, /before its first event/],
    [`[${event(1)}${event(2)}]`, 1, /behind event 1/],
    [`[${event(1)} x]`, 1, /behind event 1/],
    [`[${event(1)}}]`, 1, /behind event 1/],
    [`[${event(1)}]]`, 1, /behind event 1/],
    [`[${event(1)}],`, 1, /behind event 1/],
    [`[${event(1)}]${event(2)}`, 1, /behind event 1/],
    ['[}', 0, /before its first event/],
    ['["a"{}]', 1, /behind event 1/],
    ['[1"a"]', 1, /behind event 1/],
  ];
  for (const [body, events, why] of cases) {
    const { told, state, malformation } = readEveryWay(t, 'array', body);
    t.equal(state, 'malformed', body);
    t.equal(told.length, events, body);
    t.match(malformation, why, body);
    t.notOk(isArray(body), body);
  }
});

function isArray(body: string): boolean {
  try {
    return Array.isArray(JSON.parse(body));
  } catch {
    return false;
  }
}

t.test('takes an event of the longest length and refuses a longer one, in any place', async (t) => {
  for (const form of ['ndjson', 'array'] as const) {
    for (const over of [1, 2, EVENT_BYTES_MAX, 5 * EVENT_BYTES_MAX]) {
      const events = [
        long(EVENT_BYTES_MAX),
        long(EVENT_BYTES_MAX + over),
        event(3),
        'x'.repeat(EVENT_BYTES_MAX + over),
        event(5),
        `"${'['.repeat(EVENT_BYTES_MAX + over - 2)}"`,
      ];
      const body = form === 'array' ? `[${events.join(',')}]` : events.join('\n');
      for (const chunkMax of [1000, 10_000, 1_000_000]) {
        const { told, state } = readAll(READERS[form](), Buffer.from(body), random, chunkMax);
        const tooLong = `The event must not be longer than ${EVENT_BYTES_MAX} bytes.`;
        t.equal(state, 'done');
        t.strictSame(told, [
          '1,p1,1,1',
          `2 ${tooLong}`,
          '3,p3,3,3',
          `4 ${tooLong}`,
          '5,p5,5,5',
          `6 ${tooLong}`,
        ]);
      }
    }
  }
});

t.test('does a bounded share of the long ways at a time', async (t) => {
  const reader = new NdjsonReader(EVENTS);
  const body = Buffer.from('nonsense\n'.repeat(1000));
  t.equal(reader.fill(body, 0), body.length);
  const sink = new Recorder();
  let reads = 1;
  while (reader.read(sink, NOW_MS, NOW_MS) === 'more') {
    t.ok(sink.told.length <= 64 * reads);
    reads++;
  }
  t.ok(reads >= 1000 / 64);
  t.equal(sink.told.length, 1000);
});

t.test('reads a long random batch as it was written, in both forms', async (t) => {
  const events = Array.from({ length: 5000 }, (_, i) => event(i + 1));
  const told = events.map((_, i) => `${i + 1},p${i + 1},${i + 1},${i + 1}`);
  const lines = readAll(READERS.ndjson(), Buffer.from(events.join('\n')), random, 100_000);
  t.strictSame(lines.told, told);
  const array = readAll(READERS.array(), Buffer.from(`[${events.join()}]`), random, 100_000);
  t.strictSame(array.told, told);
});
