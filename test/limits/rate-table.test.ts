/** What a client may have, by a clock that the test turns; compared with a plain bucket of tokens. */
import t from 'tap';
import type { Rate } from '../../src/config/rate.ts';
import type { ClientKey } from '../../src/limits/client-key.ts';
import { RATE_TABLE_BYTES, RateTable } from '../../src/limits/rate-table.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const SECOND_NS = 1e9;

function tableOf(rate: Rate, startNs = 1e15) {
  const clock = { ns: startNs };
  const table = new RateTable(rate, new SharedArrayBuffer(RATE_TABLE_BYTES), () => clock.ns);
  return { table, clock };
}

const keyOf = (n: number): ClientKey => ({ hash: Math.imul(n, 0x9e3779b1) | 0, tag: n | 0 });

/** How many of `count` tries are allowed. */
function takes(table: RateTable, key: ClientKey, count: number): number {
  let allowed = 0;
  for (let i = 0; i < count; i++) if (table.take(key)) allowed++;
  return allowed;
}

t.test(
  'the quota at once, then as much as is earned, and no more than the quota after a rest',
  (t) => {
    const { table, clock } = tableOf({ quota: 10, windowSeconds: 2 });
    const key = keyOf(1);
    t.equal(takes(table, key, 50), 10);
    t.match(table, { remaining: 0, secondsToOne: 1, secondsToAll: 2 });
    clock.ns += 0.2 * SECOND_NS;
    t.equal(takes(table, key, 50), 1, 'a tenth of the window earns a tenth');
    clock.ns += 0.5 * SECOND_NS;
    t.equal(takes(table, key, 50), 2);
    clock.ns += 3600 * SECOND_NS;
    t.equal(takes(table, key, 50), 10);
    t.end();
  },
);

t.test('each client has a quota of its own', (t) => {
  const { table } = tableOf({ quota: 3, windowSeconds: 1 });
  for (let n = 0; n < 1000; n++) t.equal(takes(table, keyOf(n), 4), 3, `client ${n}`);
  t.end();
});

t.test('what is charged beyond the quota is owed, and paid by waiting', (t) => {
  const { table, clock } = tableOf({ quota: 100, windowSeconds: 1 });
  const key = keyOf(7);
  t.ok(table.charge(key, 99));
  t.notOk(table.charge(key, 1000));
  t.match(table, { remaining: 0, secondsToOne: 10, secondsToAll: 11 });
  t.notOk(table.take(key));
  clock.ns += 9.9 * SECOND_NS;
  t.notOk(table.has(key));
  t.match(table, { remaining: 0, secondsToOne: 1 });
  clock.ns += 0.2 * SECOND_NS;
  t.ok(table.has(key));
  t.ok(table.take(key));
  t.end();
});

const seed = testSeed();
t.test(`at any rate it allows what a bucket of tokens allows (seed ${seed})`, (t) => {
  const random = new Random(seed);
  for (let round = 0; round < 50; round++) {
    const rate = { quota: 1 + random.below(5000), windowSeconds: 1 + random.below(100) };
    const { table, clock } = tableOf(rate);
    const perNs = rate.quota / (rate.windowSeconds * SECOND_NS);
    let tokens = rate.quota;
    let allowed = 0;
    let expected = 0;
    for (let step = 0; step < 500; step++) {
      const waitNs = random.below(3) === 0 ? random.below(Math.ceil(20 / perNs)) : 0;
      clock.ns += waitNs;
      tokens = Math.min(rate.quota, tokens + waitNs * perNs);
      if (table.take(keyOf(3))) allowed++;
      if (tokens >= 1 - 1e-6) {
        tokens -= 1;
        expected++;
      }
    }
    // Rounding to nanoseconds may move one over the end of the round.
    if (Math.abs(allowed - expected) > 1) t.equal(allowed, expected, JSON.stringify(rate));
  }
  t.pass('50 rates');
  t.end();
});

t.test('a flood of new clients does not make it forget who is over the limit', (t) => {
  const { table, clock } = tableOf({ quota: 100, windowSeconds: 60 });
  const greedy = Array.from({ length: 500 }, (_, n) => keyOf(1_000_000 + n));
  for (const key of greedy) t.equal(takes(table, key, 101), 100);
  // Thirty times as many as there are places, none of which uses much.
  for (let n = 0; n < 2_000_000; n++) {
    table.take(keyOf(5_000_000 + n));
    clock.ns += 10;
  }
  t.strictSame(
    greedy.filter((key) => table.take(key)),
    [],
  );
  t.end();
});

t.test('places are given to new clients for as long as they come', (t) => {
  const { table, clock } = tableOf({ quota: 5, windowSeconds: 1 });
  let refused = 0;
  for (let n = 0; n < 300_000; n++) {
    if (!table.take(keyOf(n))) refused++;
    clock.ns += 1;
  }
  t.equal(refused, 0);
  t.end();
});
