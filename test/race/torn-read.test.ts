/**
 * One thread writes a few products as fast as it can, this one reads them.
 *
 * Allowed:   a whole state of one event · `busy` (the writer held the entry all the time)
 *            · `missing`, before the product's first event was seen
 * Forbidden: fields of two different events in one state · a state older than one seen before
 *            · `missing`, after the product was seen
 */
import t from 'tap';
import { Hammer, hammerId, mixed } from '../helpers/threads/hammer.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

const READS = scaled(1_000_000, 6_000_000);
/**
 * Reads that saw another state than the one before: without them nothing was raced for. On one core they come one
 * in a time slice.
 */
const CHANGES_MIN = READS / 5000;

for (const products of [1, 3]) {
  t.test(`${READS} reads of ${products} product(s) under a hammering writer`, async (t) => {
    const hammer = new Hammer({ products, inserts: false });
    const { store } = hammer;
    const ids = Array.from({ length: products }, (_, n) => hammerId(n));
    const lastSeq = new Float64Array(products);
    let reads = 0;
    let busy = 0;
    let changes = 0;
    let forbidden = '';
    for (let n = 0; forbidden === '' && (reads < READS || changes < CHANGES_MIN); n++) {
      const at = n % products;
      const answer = store.read(ids[at]);
      const last = lastSeq[at];
      if (answer === 'busy') {
        busy++;
      } else if (answer === 'missing') {
        if (last > 0) forbidden = `${ids[at]} is missing after it was seen`;
      } else {
        const { state } = store;
        const mix = mixed(state);
        if (mix !== '') forbidden = `a mix: ${mix}`;
        if (state.seq < last) forbidden = `seq ${state.seq} after ${last}`;
        if (state.seq !== last) changes++;
        lastSeq[at] = state.seq;
        reads++;
      }
    }
    await hammer.stop();
    t.equal(forbidden, '');
    t.comment(`${reads} reads, ${changes} saw a new state, ${busy} busy, ${lastSeq[0]} writes`);
  });
}
