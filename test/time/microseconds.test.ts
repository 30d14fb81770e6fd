/** Times as text: the same as Date's own, for every time that the service can hold. */
import t from 'tap';
import { timeText, withMicros } from '../../src/time/microseconds.ts';
import { Random } from '../helpers/models/random.ts';

const EDGES_MS = [
  0,
  -1,
  999,
  86_399_999,
  86_400_000,
  Date.parse('2024-02-29T23:59:59.999Z'),
  Date.parse('2024-03-01T00:00:00.000Z'),
  Date.parse('0000-01-01T00:00:00Z'),
  Date.parse('0000-01-01T00:00:00Z') - 1,
  Date.parse('9999-12-31T23:59:59.999Z'),
  Date.parse('9999-12-31T23:59:59.999Z') + 1,
  8_640_000_000_000_000,
  -8_640_000_000_000_000,
];

t.test('whole milliseconds read as Date writes them', async (t) => {
  for (const ms of EDGES_MS) t.equal(timeText(ms), new Date(ms).toISOString());
  const random = new Random();
  let wrong = 0;
  for (let i = 0; i < 200_000; i++) {
    // Over all years now and then, mostly over a few days, so that days change and stay.
    const spanMs = i % 10 === 0 ? 8.64e15 : 3 * 86_400_000;
    const ms =
      Math.trunc((random.word() / 2 ** 32 - 0.5) * 2 * spanMs) + (i % 10 === 0 ? 0 : 1.7e12);
    const kept = Math.max(-8.64e15, Math.min(8.64e15, ms));
    if (timeText(kept) !== new Date(kept).toISOString()) wrong++;
  }
  t.equal(wrong, 0);
});

t.test('microseconds come behind the milliseconds', async (t) => {
  const ms = Date.parse('2026-11-29T23:59:59.999Z');
  t.equal(timeText(withMicros(ms, 1)), '2026-11-29T23:59:59.999001Z');
  t.equal(timeText(withMicros(ms, 999)), '2026-11-29T23:59:59.999999Z');
  t.equal(timeText(withMicros(-1, 500)), '1969-12-31T23:59:59.999500Z');
  const random = new Random(7);
  for (let i = 0; i < 1000; i++) {
    const whole = ms + (random.word() % 1e9);
    const micros = 1 + (random.word() % 999);
    const expected = new Date(whole)
      .toISOString()
      .replace('Z', `${String(micros).padStart(3, '0')}Z`);
    if (timeText(withMicros(whole, micros)) !== expected) t.fail(`${whole} + ${micros} µs`);
  }
  t.pass('1000 times');
});

t.test('what is no time throws as Date does', async (t) => {
  t.throws(() => timeText(Number.NaN), RangeError);
  t.throws(() => timeText(Number.POSITIVE_INFINITY), RangeError);
});
