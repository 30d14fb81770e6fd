/** What is copied of a shard, while it is written or not, comes back as it was. */
import t from 'tap';
import {
  ENTRY_BYTES,
  ENTRY_VERSION,
  ENTRY_WORDS,
  SHARD_USED,
  Shard,
} from '../../src/store/shard.ts';
import {
  clearImage,
  imageMemory,
  indexImage,
  PIECE_ENTRIES,
  ShardCopier,
} from '../../src/store/shard-image.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { KEY, names, OwnedStore } from '../helpers/models/owned-store.ts';
import { readProduct } from '../helpers/models/product-model.ts';

const ENTRIES = PIECE_ENTRIES + 5;
const SHARD_BYTES = 1 << 20;

function filled(): OwnedStore {
  const owned = new OwnedStore(1, SHARD_BYTES);
  for (const id of names(ENTRIES)) owned.put(id);
  owned.delist('product-3');
  return owned;
}

/** A fresh shard of the same size with what `copier` gets out of `from`. */
function imageOf(from: Shard, into: Shard, piece = PIECE_ENTRIES): void {
  const copier = new ShardCopier();
  const used = from.words[SHARD_USED];
  for (let first = 0; first < used; first += piece) {
    const count = Math.min(piece, used - first);
    copier.copy(from, first, count);
    imageMemory(into, first, count).set(copier.bytes.subarray(0, count * ENTRY_BYTES));
    indexImage(into, first, count);
  }
}

for (const size of ['the same', 'a smaller', 'a larger'] as const) {
  t.test(`into ${size} shard`, (t) => {
    const { shards, store } = filled();
    const [from] = shards;
    const entries = {
      'the same': from.entries,
      'a smaller': ENTRIES,
      'a larger': 5 * from.entries,
    };
    const cells = 2 ** Math.ceil(Math.log2(2 * entries[size]));
    const into = Shard.create({ entries: entries[size], cells });
    imageOf(from, into, 700);
    const read = new SharedProductStore([into], KEY);
    const differ = [...names(ENTRIES), 'unknown'].filter(
      (id) => JSON.stringify(readProduct(read, id)) !== JSON.stringify(readProduct(store, id)),
    );
    t.same(differ, []);
    t.equal(read.size, ENTRIES);
    t.end();
  });
}

t.test('a shard that is emptied is as a new one', (t) => {
  const [from] = filled().shards;
  const into = new OwnedStore(1, SHARD_BYTES).shards[0];
  const before = Buffer.from(into.buffer).toString('base64');
  imageOf(from, into);
  clearImage(into, ENTRIES);
  t.equal(Buffer.from(into.buffer).toString('base64'), before);
  t.end();
});

t.test('the version of an entry does not go along', (t) => {
  const { shards } = filled();
  const [shard] = shards;
  shard.words[shard.entriesAt + 2 * ENTRY_WORDS + ENTRY_VERSION] = 2;
  const copier = new ShardCopier();
  copier.copy(shard, 0, 4);
  t.equal(copier.bytes.readInt32LE(2 * ENTRY_BYTES), 0);
  t.equal(copier.lastSeq, ENTRIES + 1, 'product-3 was delisted last');
  t.end();
});
