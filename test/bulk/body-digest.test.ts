/** The digest of a body: the same for the same first events, however their bytes arrive. */
import { crc32 } from 'node:zlib';
import t from 'tap';
import { ArrayReader } from '../../src/bulk/array-reader.ts';
import type { BatchReader, EventSink } from '../../src/bulk/batch-reader.ts';
import { NdjsonReader } from '../../src/bulk/ndjson-reader.ts';
import { batchEvents } from '../../src/event/batch-event.ts';
import { SlotViews } from '../../src/ring/slot.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const EVENTS = batchEvents(0);
const seed = testSeed();
const TOO_LONG = `{"product_id":"${'x'.repeat(70_000)}"}`;

/** What `reader` says before each event, by the number of events that have ended, and at the end. */
function digests(reader: BatchReader, body: Buffer, cuts: readonly number[]): string[] {
  const slots = new SlotViews(new ArrayBuffer(128), 0, 1);
  const said: string[] = [];
  const note = () => {
    const { events, bytes, crc } = reader.part;
    said[events] ??= `${bytes} ${crc}`;
    if (said[events] !== `${bytes} ${crc}`) throw new Error(`event ${events}: ${said[events]}`);
  };
  const sink: EventSink = {
    slots,
    nextSlot: () => {
      note();
      return 0;
    },
    accept: () => true,
    refuse: () => undefined,
  };
  reader.keepDigest();
  let from = 0;
  for (const to of [...cuts, body.length]) {
    while (from < to) {
      from += reader.fill(body.subarray(0, to), from);
      while (reader.read(sink, 0, 1e15) === 'more');
    }
  }
  reader.end();
  while (reader.read(sink, 0, 1e15) === 'more');
  reader.close();
  note();
  return said;
}

t.test(`any cutting, one digest (seed ${seed})`, (t) => {
  const random = new Random(seed);
  for (let round = 0; round < 60; round++) {
    const isArray = random.chance(0.5);
    const count = random.below(40);
    const events = Array.from({ length: count }, (_, i) => {
      if (random.chance(0.02)) return TOO_LONG;
      return random.chance(0.1) ? '{"x":1}' : `{"product_id":"p${i}","price":${i},"stock":1}`;
    });
    const blank = () => random.pick(['', '', '\n', ' \n\n', '\r\n']);
    const lines = events.map((event) => event + random.pick(['\n', '\r\n']) + blank());
    const ended = random.chance(0.3) ? lines.join('').trimEnd() : lines.join('');
    const text = isArray ? `[${blank()}${events.join(`${blank()},${blank()}`)}]${blank()}` : ended;
    const body = Buffer.from(text);
    const make = () => (isArray ? new ArrayReader(EVENTS) : new NdjsonReader(EVENTS));
    const whole = digests(make(), body, []);
    const cuts = Array.from({ length: random.below(8) }, () => random.below(body.length + 1));
    cuts.sort((a, b) => a - b);
    t.strictSame(digests(make(), body, cuts), whole, `${count} events, cut at ${cuts}`);
    t.equal(whole.length, count + 1);
    for (const said of whole) {
      const [bytes, crc] = said.split(' ').map(Number) as [number, number];
      if (crc32(body.subarray(0, bytes)) !== crc) t.fail(`not the CRC-32 of ${bytes} bytes`);
    }
  }
  t.end();
});
