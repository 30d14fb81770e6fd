/** The prior price: the table of cases, in every order of delivery, and a model check. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import type { Mark } from '../../src/history/mark.ts';
import { WHOLE } from '../../src/history/mark.ts';
import { priorPrice } from '../../src/history/prior-price.ts';
import { testSeed } from '../helpers/models/random.ts';
import { newestFirst, slowPriorPrice } from './history-model.ts';
import { atDay, CASES, type Case, expectedOf, permutations } from './prior-price-cases.ts';

function marksOf(said: Case['said']): Mark[] {
  return said.map(([day, value], i) => ({ atMs: atDay(day), seq: i + 1, value }));
}

t.ok(CASES.length >= 25, 'a table of cases');

for (const { name, said, days = 30, gradual = false, wholeFrom, expected } of CASES) {
  t.test(name, (t) => {
    const whole = wholeFrom === undefined ? WHOLE : atDay(wholeFrom);
    for (const order of permutations(said)) {
      const found = priorPrice(newestFirst(marksOf(order)), whole, { days, gradual });
      t.same(found, expectedOf(expected), JSON.stringify(order));
      const slow = slowPriorPrice(marksOf(order), whole, { days, gradual });
      t.same(slow, found, `the model, ${JSON.stringify(order)}`);
    }
    t.end();
  });
}

const seed = testSeed();
t.test(`a slow model says the same of any history (seed ${seed})`, (t) => {
  const mark = fc.tuple(
    fc.integer({ min: 0, max: 120 }),
    fc.option(fc.integer({ min: 0, max: 5 })),
  );
  fc.assert(
    fc.property(
      fc.array(mark, { maxLength: 14 }),
      fc.integer({ min: 1, max: 40 }),
      fc.boolean(),
      fc.option(fc.integer({ min: 0, max: 120 })),
      (said, days, gradual, wholeDay) => {
        const marks = marksOf(said);
        const whole = wholeDay === null ? WHOLE : atDay(wholeDay);
        const found = priorPrice(newestFirst(marks), whole, { days, gradual });
        assert.deepEqual(found, slowPriorPrice(marks, whole, { days, gradual }));
      },
    ),
    { seed, numRuns: 20_000 },
  );
  t.pass();
  t.end();
});

t.test('no more of the past is read than it takes', (t) => {
  let read = 0;
  function* endless(): Iterable<Mark> {
    for (let i = 0; ; i++) {
      read++;
      yield { atMs: atDay(-i), seq: 1_000_000 - i, value: i === 0 ? 1 : 2 + (i % 2) };
    }
  }
  const found = priorPrice(endless(), WHOLE, { days: 30, gradual: false });
  t.equal(found.reduction?.priorPrice, 2);
  t.ok(read <= 33, `${read} marks read`);
  t.end();
});
