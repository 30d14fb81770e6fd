/**
 * The hot form of an event must say what JSON.parse and the schema say: what it takes they take, and
 * the slot is the same to the last bit of every double. (Over 300 lines: one list of forms.)
 */
import { deepStrictEqual } from 'node:assert/strict';
import { Buffer } from 'node:buffer';
import fc from 'fast-check';
import t from 'tap';
import { EventValidator } from '../../src/bulk/event-validator.ts';
import { HotParser } from '../../src/bulk/hot-parser.ts';
import { SINGLE_EVENT_BYTES_MAX, SingleEventParser } from '../../src/bulk/single-event.ts';
import type { BodyFault } from '../../src/errors/problems.ts';
import { ajv } from '../../src/event/ajv.ts';
import { type BatchEvents, batchEvents } from '../../src/event/batch-event.ts';
import { isTooFarAhead } from '../../src/event/event-time-faults.ts';
import {
  type ProductEventBody,
  productEventBody,
  toProductEvent,
} from '../../src/event/product-event-body.ts';
import { SourceScan } from '../../src/event/source-faults.ts';
import { SLOT_BYTES, SlotViews } from '../../src/ring/slot.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { testSeed } from '../helpers/models/random.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { CORPUS } from './json-corpus.ts';

const NOW_MS = 1_800_000_000_000;
const LATEST_MS = NOW_MS + 5 * 60 * 1000;
const HOT = 0;
const LONG = 1;

const STOCK_MINS = [0, -5, -Number.MAX_SAFE_INTEGER] as const;
type StockMin = (typeof STOCK_MINS)[number];
const EVENTS = new Map(STOCK_MINS.map((stockMin) => [stockMin, batchEvents(stockMin)]));

/** What both ways say to a line. */
function bothWays(line: Buffer, stockMin: StockMin = 0) {
  const slots = new SlotViews(new ArrayBuffer(2 * SLOT_BYTES), 0, 2);
  const hot = new HotParser();
  const validator = new EventValidator(EVENTS.get(stockMin) as BatchEvents);
  const bytes = Buffer.concat([line, Buffer.of(0)]);
  const options = { spansLines: false, stockMin, latestMs: LATEST_MS };
  const end = hot.parse(bytes, 0, slots, HOT, options);
  const rest = end < 0 ? '' : line.toString('latin1', end);
  const isHot = end >= 0 && /^[ \t\r]*$/.test(rest);
  const hotEventId =
    hot.eventIdEnd === 0 ? undefined : bytes.toString('latin1', hot.eventIdStart, hot.eventIdEnd);
  const faults = validator.validate(line, 0, line.length, slots, LONG, NOW_MS);
  const slot = (index: number) =>
    Buffer.from(slots.bytes.subarray(index * SLOT_BYTES, (index + 1) * SLOT_BYTES)).toString('hex');
  return {
    isHot,
    faults,
    hotEventId,
    eventId: validator.eventId,
    hot: slot(HOT),
    long: slot(LONG),
  };
}

/** Throws unless both agree; returns whether the line was hot. */
function agree(line: Buffer, stockMin?: StockMin): boolean {
  const said = bothWays(line, stockMin);
  if (!said.isHot) return false;
  if (said.faults !== undefined) throw new Error(`hot, but: ${JSON.stringify(said.faults)}`);
  if (said.hot !== said.long) throw new Error(`slots differ:\n${said.hot}\n${said.long}`);
  if (said.hotEventId !== said.eventId) throw new Error('event ids differ');
  return true;
}

const digits = (max: number) => fc.stringMatching(new RegExp(`^[0-9]{1,${max}}$`));
const plainNumber = fc
  .tuple(fc.nat({ max: 1_000_000 }), fc.nat({ max: 3 }))
  .map(([n, decimals]) => (n / 10 ** decimals).toFixed(decimals));
const number = fc.oneof(
  { weight: 12, arbitrary: plainNumber },
  fc.double({ min: 0, noNaN: true }).map(String),
  fc.integer().map(String),
  fc.maxSafeNat().map(String),
  fc.maxSafeNat().chain((n) => fc.integer({ min: 0, max: 18 }).map((k) => String(n / 10 ** k))),
  fc.tuple(digits(18), digits(18)).map(([whole, part]) => `${whole}.${part}`),
  fc.tuple(digits(16), digits(3)).map(([whole, part]) => `${Number(whole)}.${part}`),
  fc.tuple(digits(17), fc.integer({ min: -330, max: 330 })).map(([m, e]) => `${Number(m)}e${e}`),
  fc.double({ min: 0, max: 1e25, noNaN: true }).map((x) => x.toPrecision(17)),
  fc.double({ min: 0, max: 1e25, noNaN: true }).map((x) => x.toPrecision(25)),
  fc.stringMatching(/^-?[0-9.eE+-]{0,6}$/),
);
const date = fc.date({ noInvalidDate: true, min: new Date(-1e13), max: new Date(2e12) });
const zone = fc.constantFrom(
  'Z',
  'z',
  '+00:00',
  '-00:00',
  '+05:30',
  '-23:59',
  '+24:00',
  '+1:00',
  '',
);
const fraction = fc.stringMatching(/^(\.[0-9]{0,12})?$/);
const time = fc.oneof(
  { weight: 8, arbitrary: date.map((d) => JSON.stringify(d)) },
  fc
    .tuple(date, fc.constantFrom('T', 'T', ' ', ' ', 't', '_', '  '), fraction, zone)
    .map(([d, t, part, z]) => `"${d.toISOString().slice(0, 19).replace(/T/, t)}${part}${z}"`),
  fc
    .tuple(fc.integer({ min: 1960, max: 2030 }), fc.nat({ max: 13 }), fc.nat({ max: 32 }))
    .map(
      ([y, m, d]) => `"${y}-${String(m).padStart(2, '0')}-${String(d).padStart(2, '0')}T23:59:60Z"`,
    ),
  fc
    .tuple(fc.integer({ min: 1890, max: 2110 }), fc.nat({ max: 13 }), fc.nat({ max: 32 }))
    .map(
      ([y, m, d]) => `"${y}-${String(m).padStart(2, '0')}-${String(d).padStart(2, '0')}T00:00:00Z"`,
    ),
  fc.integer({ min: LATEST_MS - 2, max: LATEST_MS + 2 }).map(String),
  // Just before, at and behind the numbers that look like seconds, micro- and nanoseconds.
  fc
    .tuple(fc.integer({ min: 7, max: 19 }), fc.integer({ min: -2, max: 2 }))
    .map(([digits, n]) => String(10n ** BigInt(digits) + BigInt(n))),
  fc.integer({ min: 900_000_000, max: 1_900_000_000 }).map(String),
  number,
);
const text = (max: number) =>
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .stringMatching(/^[a-zA-Z0-9 ._-]+$/, { maxLength: max })
        .map((s) => JSON.stringify(s)),
    },
    fc.string({ minLength: 1, maxLength: max }).map((s) => JSON.stringify(s)),
    fc.string({ unit: 'grapheme', maxLength: 20 }).map((s) => JSON.stringify(s)),
    fc.string({ maxLength: 8 }).map((s) => `"${s}"`),
  );
const VALUES = {
  product_id: text(70),
  price: number,
  stock: fc.oneof(
    { weight: 4, arbitrary: fc.maxSafeNat().map(String) },
    fc.integer({ min: -9, max: 1 }).map(String),
    number.map((n) => `-${n}`),
    number,
  ),
  occurred_at: time,
  event_id: text(140),
  partial: fc.constantFrom('true', 'true', 'false', 'false', 'null', 'tru', '1'),
};
const space = fc.stringMatching(/^[ \t\r]{0,2}$/);
const member = fc
  .constantFrom(...(Object.keys(VALUES) as (keyof typeof VALUES)[]))
  .chain((name) => fc.tuple(fc.constant(name), VALUES[name], space, space));
/** Mostly whole events, in any order; some with members missing, twice or strange. */
const members = fc.oneof(
  { weight: 1, arbitrary: fc.array(member, { maxLength: 7 }) },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        ...(['product_id', 'price', 'stock', 'occurred_at', 'event_id', 'partial'] as const).map(
          (name) => fc.tuple(fc.constant(name), VALUES[name], space, space),
        ),
      )
      .chain((all) => fc.shuffledSubarray(all, { minLength: 3 })),
  },
);
const line = fc.tuple(members, space, space).map(([list, before, behind]) => {
  const inside = list.map(([name, value, s1, s2]) => `${s1}"${name}"${s2}:${s1}${value}${s2}`);
  return Buffer.from(`${before}{${inside.join(',')}}${behind}`);
});
/** A line with one byte changed, left out or put in. */
const damagedLine = fc
  .tuple(line, fc.nat(), fc.nat({ max: 255 }), fc.nat({ max: 2 }))
  .map(([bytes, place, byte, how]) => {
    const at = place % (bytes.length + 1);
    const behind = bytes.subarray(how === 2 ? at : at + 1);
    const between = how === 1 ? Buffer.of() : Buffer.of(byte);
    return Buffer.concat([bytes.subarray(0, at), between, behind]);
  });

const numRuns = scaled(20_000, Number(process.env.FUZZ_RUNS ?? 2_000_000));
const seed = testSeed();

t.test(`agrees on ${numRuns} random lines (SEED=${seed})`, async (t) => {
  let hot = 0;
  let runs = 0;
  const stockMin = fc.constantFrom(...STOCK_MINS);
  const property = fc.property(fc.oneof(line, damagedLine), stockMin, (bytes, min) => {
    runs++;
    if (agree(bytes, min)) hot++;
  });
  fc.assert(property, { seed, numRuns });
  t.ok(hot > runs / 40, `${hot} of ${runs} were hot`);
  t.ok(hot < runs / 2, 'and most were not');
});

const singles = new Map(STOCK_MINS.map((stockMin) => [stockMin, singleBothWays(stockMin)]));

/** What the body of a single event is, hot (`undefined`: not hot) and by JSON.parse and its schema. */
function singleBothWays(stockMin: StockMin) {
  const parser = new SingleEventParser(stockMin);
  const isEvent = ajv.compile<ProductEventBody>(productEventBody(stockMin));
  return (body: Buffer) => {
    const event = parser.parse(body, NOW_MS);
    if (event === undefined) return undefined;
    const text = body.toString();
    const value: unknown = JSON.parse(text);
    if (!isEvent(value)) throw new Error(`hot, but: ${JSON.stringify(isEvent.errors)}`);
    const scan = new SourceScan();
    scan.read(body, 0, body.length);
    if (scan.faults(value, text) !== undefined) throw new Error('hot, but its text has faults');
    const long = toProductEvent(value);
    if (isTooFarAhead(long.occurredAtMs, NOW_MS)) throw new Error('hot, but ahead');
    return { hot: { ...event, id: parser.eventId }, long: { ...long, id: value.event_id } };
  };
}

t.test(`a single event's body agrees as well (SEED=${seed})`, async (t) => {
  let hot = 0;
  let runs = 0;
  const stockMin = fc.constantFrom(...STOCK_MINS);
  const around = fc.stringMatching(/^[ \t\r\n]{0,2}$/);
  const body = fc
    .tuple(around, fc.oneof(line, damagedLine), around)
    .map(([before, bytes, behind]) => {
      return Buffer.concat([Buffer.from(before), bytes, Buffer.from(behind)]);
    });
  const property = fc.property(body, stockMin, (bytes, min) => {
    if (bytes.length > SINGLE_EVENT_BYTES_MAX) return;
    runs++;
    const said = singles.get(min)?.(bytes);
    if (said === undefined) return;
    hot++;
    deepStrictEqual(said.hot, said.long);
  });
  fc.assert(property, { seed, numRuns });
  t.ok(hot > runs / 100, `${hot} of ${runs} were hot`);
  for (const text of [
    '{"product_id":"p","price":1.5,"stock":2}',
    '\n{\n"stock":2,\r\n"price":0.0,"product_id":"p"}\n',
    '{"product_id":"p","price":1,"stock":-0,"event_id":"e","occurred_at":"2026-01-01T00:00:00.5Z"}',
  ]) {
    const said = singles.get(0)?.(Buffer.from(text));
    t.ok(said, text);
    t.strictSame(said?.hot, said?.long);
  }
  t.notOk(singles.get(0)?.(Buffer.from('{"product_id":"p","price":1,"stock":2,"partial":false}')));
});

t.test('takes what must be taken, refuses what must be refused, and agrees', async (t) => {
  for (const { name, verdict, line } of CORPUS) {
    t.equal(bothWays(line).faults === undefined ? 'y' : 'n', verdict, name);
    t.doesNotThrow(() => agree(line), name);
  }
});

t.test('reads the common forms hot', async (t) => {
  for (const text of [
    '{"product_id":"85123A","price":2.55,"stock":38834,"occurred_at":"2010-12-01T08:26:00.000Z"}',
    '{"price":0.1,"stock":0,"product_id":"a b"}',
    '{"product_id":"p","price":1,"stock":2,"occurred_at":"2024-03-01T10:00:00.000900Z"}',
    '{"product_id":"p","price":1,"stock":2,"occurred_at":"2024-03-01 10:00:00.123456789+01:00"}',
    ' { "product_id" : "p" , "price" : 1e2 , "stock" : 5 , "occurred_at" : 1700000000000 } ',
    '{"product_id":"p","price":0.30000000000000004,"partial":true,"event_id":"x-1"}',
    '{"product_id":"p","stock":3,"partial":true}\r',
  ]) {
    t.ok(agree(Buffer.from(text)), text);
  }
});

/** The faults without the time that this machine's clock says in them. */
function withoutClock(faults: readonly BodyFault[]): BodyFault[] {
  return faults.map(({ pointer, detail }) => ({
    pointer,
    detail: detail.replace(/(?<=clock says )[-\dT:.]+Z/, 'now'),
  }));
}

/** Without the byte order mark that the readers of batches pass over. */
function withoutMark(line: Buffer): Buffer {
  return line.toString('utf8').startsWith('\ufeff') ? line.subarray(3) : line;
}

t.test('stock below zero is hot where it is let in, and refused where not', async (t) => {
  const withStock = (stock: string) => Buffer.from(`{"product_id":"p","price":1,"stock":${stock}}`);
  for (const [stock, least] of [
    ['-1', -1],
    ['-5', -5],
    ['-5.0', -5],
    ['-1e0', -1],
    ['-6', -6],
    ['-9007199254740991', -Number.MAX_SAFE_INTEGER],
  ] as const) {
    for (const stockMin of STOCK_MINS) {
      const { isHot, faults } = bothWays(withStock(stock), stockMin);
      t.equal(isHot, least >= stockMin, `${stock} from ${stockMin} on`);
      t.equal(faults === undefined, isHot);
      agree(withStock(stock), stockMin);
    }
  }
  for (const stock of ['-0', '-0.0', '-0e5']) t.ok(agree(withStock(stock)), stock);
  for (const stock of ['-9007199254740992', '-1.5', '--1', '-', '-01', '- 1']) {
    const { isHot, faults } = bothWays(withStock(stock), -Number.MAX_SAFE_INTEGER);
    t.notOk(isHot, stock);
    t.ok(faults, stock);
  }
  const { faults } = bothWays(withStock('-6'), -5);
  const detail = 'stock must be an integer from -5 to 9007199254740991.';
  t.strictSame(faults, [{ pointer: '/stock', detail }]);
});

t.test('says to an event what the single route says', async (t) => {
  const { app, intake } = fakeApp();
  t.teardown(() => app.close());
  for (const { name, line } of CORPUS) {
    if (line.includes('partial')) continue;
    const response = await app.inject({
      method: 'POST',
      url: '/api/v1/events',
      headers: { 'content-type': 'application/json' },
      payload: line,
    });
    // The clocks differ; no case lies so close to now.
    const { faults } = bothWays(withoutMark(line));
    if (faults === undefined) {
      t.equal(response.statusCode, 202, name);
      continue;
    }
    t.equal(response.statusCode, 400, name);
    const { errors, detail } = response.json();
    const told = errors ?? [{ pointer: '', detail: detail.replace('The body', 'The event') }];
    t.strictSame(withoutClock(faults), withoutClock(told), name);
  }
  t.ok(intake.offers.length > 100);
});
