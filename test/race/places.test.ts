/**
 * One thread inserts, delists and forgets products, and gives their places to others; this one reads them by
 * id, walks through all, and copies the shards.
 *
 * Allowed:   the whole product · `missing` of one that comes or goes · `busy`
 * Forbidden: another product's state or a mix of two under an id · one that stays and is not found, or that a
 *            walk or copy does not meet exactly once · a free place in a copy
 */
import t from 'tap';
import { isListed, type ProductState } from '../../src/store/product-repository.ts';
import {
  ENTRY_BYTES,
  ENTRY_ID,
  ENTRY_META,
  ENTRY_PRICE,
  ENTRY_PRICE_AT,
  ENTRY_SEQ,
  ENTRY_STOCK,
  ENTRY_STOCK_AT,
  ENTRY_UPDATED_AT,
} from '../../src/store/shard.ts';
import { PIECE_ENTRIES, ShardCopier } from '../../src/store/shard-image.ts';
import { Churner, churnId, LIVE, STAYING } from '../helpers/threads/churner.ts';
import { mixed } from '../helpers/threads/hammer.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

const READS = scaled(300_000, 5_000_000);
const WALKS = scaled(300, 5000);
const CAME_MIN = 10_000;

/** What is wrong with a listed state as that of product `id`, or ''. */
function wrongFor(id: string, state: ProductState): string {
  if (!isListed(state)) return '';
  const mix = mixed(state);
  if (mix !== '') return `${id}: a mix: ${mix}`;
  return id === churnId((state.seq - 1) / 3) ? '' : `${id} has seq ${state.seq}`;
}

async function started(): Promise<Churner> {
  const churner = new Churner();
  while (churner.inserted < 2 * (LIVE + STAYING)) await new Promise(setImmediate);
  return churner;
}

t.test(`${READS} reads while places change hands`, async (t) => {
  const churner = await started();
  const { store } = churner;
  let forbidden = '';
  let found = 0;
  let missing = 0;
  // One thread may get no time while the other works: then some more of them.
  const isOver = (n: number) =>
    n >= READS && missing > 0 && found > 0 && churner.inserted > CAME_MIN;
  for (let n = 0; !isOver(n) && forbidden === ''; n++) {
    const stays = n % 4 === 0;
    const k = stays ? (n >> 2) % STAYING : churner.inserted - 1 - ((n * 7) % (LIVE + 20));
    const answer = store.read(churnId(k));
    if (answer === 'missing' && stays) forbidden = `${churnId(k)} is missing`;
    if (answer === 'missing') missing++;
    if (answer !== 'found') continue;
    found++;
    forbidden ||= wrongFor(churnId(k), store.state);
    if (stays && !isListed(store.state)) forbidden = `${churnId(k)} is not listed`;
  }
  await churner.stop();
  t.equal(forbidden, '');
  t.comment(`${found} found, ${missing} missing, ${churner.inserted} products came`);
});

t.test(`${WALKS} walks while places change hands`, async (t) => {
  const churner = await started();
  let forbidden = '';
  for (let n = 0; n < WALKS && forbidden === ''; n++) {
    const walk = churner.store.walk();
    const met = new Set<string>();
    for (let step = walk.next(); step !== 'end' && forbidden === ''; step = walk.next()) {
      if (step !== 'found') continue;
      forbidden ||= wrongFor(walk.id, walk.state);
      if (met.has(walk.id)) forbidden = `${walk.id} comes twice`;
      met.add(walk.id);
    }
    for (let k = 0; k < STAYING && forbidden === ''; k++) {
      if (!met.has(churnId(k))) forbidden = `${churnId(k)} was there, and is not met`;
    }
  }
  await churner.stop();
  t.equal(forbidden, '');
});

t.test(`${WALKS} copies while places change hands`, async (t) => {
  const churner = await started();
  const copier = new ShardCopier();
  const { bytes } = copier;
  let forbidden = '';
  for (let n = 0; n < WALKS && forbidden === ''; n++) {
    const met = new Set<string>();
    for (const shard of churner.shards) {
      const count = copier.copy(shard, 0, Math.min(PIECE_ENTRIES, shard.certainEntries));
      for (let at = 0; at < count * ENTRY_BYTES && forbidden === ''; at += ENTRY_BYTES) {
        const double = (word: number) => bytes.readDoubleLE(at + word * 4);
        const from = at + ENTRY_ID * 4;
        const idBytes = bytes.readUInt32LE(at + ENTRY_META * 4) >>> 24;
        const id = bytes.toString('utf8', from, from + idBytes);
        if (id === '') forbidden = 'a free place';
        forbidden ||= wrongFor(id, {
          seq: double(ENTRY_SEQ),
          price: double(ENTRY_PRICE),
          stock: double(ENTRY_STOCK),
          priceAtMs: double(ENTRY_PRICE_AT),
          stockAtMs: double(ENTRY_STOCK_AT),
          updatedAtMs: double(ENTRY_UPDATED_AT),
        });
        if (met.has(id)) forbidden = `${id} comes twice`;
        met.add(id);
      }
    }
    for (let k = 0; k < STAYING && forbidden === ''; k++) {
      if (!met.has(churnId(k))) forbidden = `${churnId(k)} is not in the copy`;
    }
  }
  await churner.stop();
  t.equal(forbidden, '');
});
