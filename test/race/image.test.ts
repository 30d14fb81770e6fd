/**
 * One thread writes products as fast as it can, this one copies whole pieces of its shards.
 *
 * Allowed:   for each entry a whole state of one event
 * Forbidden: fields of two different events in one entry · a state older than one copied before · an
 *            entry that is not the product's own
 */
import t from 'tap';
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
  ENTRY_VERSION,
} from '../../src/store/shard.ts';
import { PIECE_ENTRIES, ShardCopier } from '../../src/store/shard-image.ts';
import { Hammer, hammerId, mixed } from '../helpers/threads/hammer.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

const PIECES = scaled(1000, 20_000);

for (const products of [2, 400, 4000]) {
  t.test(`${PIECES} pieces of ${products} products under a hammering writer`, async (t) => {
    const hammer = new Hammer({ products, inserts: false });
    const { shards, store } = hammer;
    while (store.size < products) await new Promise(setImmediate);
    const copier = new ShardCopier();
    const { bytes } = copier;
    const last = new Map<string, number>();
    let changes = 0;
    let forbidden = '';
    // Small pieces are copied faster than another thread gets a turn: then some more of them.
    for (let n = 0; (n < PIECES || changes <= products) && forbidden === ''; n++) {
      const shard = shards[n % shards.length];
      const count = Math.min(PIECE_ENTRIES, shard.certainEntries);
      copier.copy(shard, 0, count);
      for (let i = 0; i < count && forbidden === ''; i++) {
        const at = i * ENTRY_BYTES;
        const double = (word: number) => bytes.readDoubleLE(at + word * 4);
        const seq = double(ENTRY_SEQ);
        const mix = mixed({
          seq,
          price: double(ENTRY_PRICE),
          stock: double(ENTRY_STOCK),
          priceAtMs: double(ENTRY_PRICE_AT),
          stockAtMs: double(ENTRY_STOCK_AT),
          updatedAtMs: double(ENTRY_UPDATED_AT),
        });
        const from = at + ENTRY_ID * 4;
        const idBytes = bytes.readUInt32LE(at + ENTRY_META * 4) >>> 24;
        const id = bytes.toString('utf8', from, from + idBytes);
        if (mix !== '') forbidden = `a mix: ${mix}`;
        else if (id !== hammerId((seq - 1) % products)) forbidden = `${id} has seq ${seq}`;
        else if (seq < (last.get(id) ?? 0)) forbidden = `${id}: ${seq} after ${last.get(id)}`;
        else if (bytes.readInt32LE(at + ENTRY_VERSION * 4) !== 0) forbidden = 'a version';
        if (seq !== last.get(id)) changes++;
        last.set(id, seq);
      }
    }
    await hammer.stop();
    t.equal(forbidden, '');
    t.comment(`${changes} copies saw a new state`);
  });
}
