/**
 * One thread inserts products one after the other, this one looks for those that are just coming.
 *
 * Allowed:   `missing` · the whole product
 * Forbidden: a product found incomplete or mixed · found and later missing · found while `size`
 *            does not count it yet (the admission would give its room away twice) · `busy`: nobody
 *            updates anything here
 */
import t, { type Test } from 'tap';
import { Hammer, hammerId, mixed } from '../helpers/threads/hammer.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { tried } from '../helpers/tries.ts';

const PRODUCTS = scaled(200_000, 1_000_000);
const ROUNDS = scaled(2, 5);
const AHEAD = 40;

/** Looks until all are found; how often it looked too early, behind the first. */
async function looks(t: Test): Promise<number> {
  const hammer = new Hammer({ products: PRODUCTS, inserts: true });
  const { store } = hammer;
  let forbidden = '';
  let found = 0;
  let missing = 0;
  /** All products before this one were found. */
  let frontier = 0;
  while (forbidden === '' && frontier < PRODUCTS) {
    for (let n = frontier; n < Math.min(frontier + AHEAD, PRODUCTS); n++) {
      const answer = store.read(hammerId(n));
      if (answer === 'busy') forbidden = `${hammerId(n)} is busy`;
      if (answer === 'missing') {
        if (frontier > 0) missing++;
        break;
      }
      found++;
      const mix = mixed(store.state);
      if (mix !== '' || store.state.seq !== n + 1) forbidden = `${hammerId(n)}: ${mix}`;
      if (store.size < n + 1) forbidden = `${hammerId(n)} is there, but size is ${store.size}`;
      frontier = n + 1;
    }
    const before = Math.floor(frontier * Math.random());
    if (before < frontier && store.read(hammerId(before)) !== 'found') {
      forbidden = `${hammerId(before)} was found before`;
    }
  }
  await hammer.stop();
  t.equal(forbidden, '');
  t.equal(store.size, PRODUCTS);
  t.comment(`looked too early ${missing} times, found ${found}`);
  return missing;
}

for (let round = 1; round <= ROUNDS; round++) {
  t.test(`${PRODUCTS} products inserted, round ${round}`, async (t) => {
    // A thread that gets no time at all for as long as the other one works is tried again.
    await tried(async () => (await looks(t)) > 0 || !t.passing(), 'looks while products came');
  });
}
