/**
 * One thread inserts products one after the other, or updates them, this one walks through all.
 *
 * Allowed:   the whole product · products that came after the walk began, or not · `busy`
 * Forbidden: a product twice · one that was there before the walk began, and is not met · one that a
 *            read does not find · incomplete or mixed states
 */
import t, { type Test } from 'tap';
import { Hammer, hammerId, mixed } from '../helpers/threads/hammer.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { tried } from '../helpers/tries.ts';

const PRODUCTS = scaled(100_000, 1_000_000);
const UPDATED = 2000;
const UPDATE_WALKS = scaled(200, 5000);

/** Walks until all are inserted; how many walks met products that came meanwhile. */
async function walks(t: Test): Promise<number> {
  const hammer = new Hammer({ products: PRODUCTS, inserts: true });
  const { store } = hammer;
  let forbidden = '';
  let growing = 0;
  for (let isLast = false; forbidden === '' && !isLast; ) {
    isLast = hammer.isDone;
    // Products come in the order of their numbers; a count may be one ahead of its index cell.
    const before = isLast ? PRODUCTS : Math.max(0, store.size - 1);
    const walk = store.walk();
    const met = new Uint8Array(PRODUCTS);
    let count = 0;
    for (let step = walk.next(); step !== 'end' && forbidden === ''; step = walk.next()) {
      if (step === 'delisted') forbidden = 'an entry without a product';
      if (step !== 'found') continue;
      const n = Number(walk.id.slice('product-'.length));
      const mix = mixed(walk.state);
      if (walk.id !== hammerId(n) || met[n] !== 0) forbidden = `${walk.id} comes twice or is none`;
      else if (mix !== '' || walk.state.seq !== n + 1) forbidden = `${walk.id}: ${mix}`;
      else if (count % 16 === 0 && store.read(walk.id) !== 'found') forbidden = `no ${walk.id}`;
      met[n] = 1;
      count++;
    }
    const missed = met.subarray(0, before).indexOf(0);
    if (forbidden === '' && missed >= 0) forbidden = `${hammerId(missed)} was there before`;
    if (count > before) growing++;
  }
  await hammer.stop();
  t.equal(forbidden, '');
  t.comment(`${growing} walks met products that came meanwhile`);
  return growing;
}

t.test(`walks while ${PRODUCTS} products are inserted`, async (t) => {
  // A thread that gets no time at all for as long as the other one works is tried again.
  await tried(async () => (await walks(t)) > 0 || !t.passing(), 'walks while products came');
});

t.test(`${UPDATE_WALKS} walks while ${UPDATED} products are updated`, async (t) => {
  const hammer = new Hammer({ products: UPDATED, inserts: false });
  const { store, shards } = hammer;
  // The newest insert's cell may be a moment behind its count.
  const areCertain = () =>
    shards.reduce((sum, { certainEntries }) => sum + certainEntries, 0) === UPDATED;
  while (!areCertain()) await new Promise(setImmediate);
  let forbidden = '';
  for (let round = 0; round < UPDATE_WALKS && forbidden === ''; round++) {
    const walk = store.walk();
    let count = 0;
    for (let step = walk.next(); step !== 'end' && forbidden === ''; step = walk.next()) {
      if (step !== 'found') continue;
      count++;
      const mix = mixed(walk.state);
      const owner = hammerId((walk.state.seq - 1) % UPDATED);
      if (mix !== '' || walk.id !== owner) forbidden = `${walk.id}: ${mix} of ${owner}`;
    }
    if (count !== UPDATED) forbidden = `${count} products`;
  }
  await hammer.stop();
  t.equal(forbidden, '');
});
