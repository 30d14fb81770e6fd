/** What is copied of a shard, while it is written or not, comes back as it was. */
import t from 'tap';
import {
  ENTRY_BYTES,
  ENTRY_SEQ,
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
import { idsOf, KEY, names, OwnedStore } from '../helpers/models/owned-store.ts';
import { readProduct } from '../helpers/models/product-model.ts';

const ENTRIES = PIECE_ENTRIES + 5;
const SHARD_BYTES = 1 << 20;

function filled(): OwnedStore {
  const owned = new OwnedStore(1, SHARD_BYTES);
  for (const id of names(ENTRIES)) owned.put(id);
  owned.delist('product-3');
  return owned;
}

/** Takes what a copier gets out of `from` into a fresh shard; `meanwhile` is called behind each piece. */
function imageOf(from: Shard, into: Shard, piece = PIECE_ENTRIES, meanwhile = () => {}): void {
  const copier = new ShardCopier();
  const used = from.words[SHARD_USED];
  const replayFrom = highestSeq(from) + 1;
  for (let first = 0, to = 0; first < used; first += piece) {
    const count = copier.copy(from, first, Math.min(piece, used - first));
    imageMemory(into, to, count).set(copier.bytes.subarray(0, count * ENTRY_BYTES));
    indexImage(into, to, count, replayFrom);
    to += count;
    meanwhile();
  }
}

function highestSeq({ doubles, entriesAt, words }: Shard): number {
  const seqs = Array.from(
    { length: words[SHARD_USED] },
    (_, i) => doubles[(entriesAt + i * ENTRY_WORDS + ENTRY_SEQ) >> 1],
  );
  return Math.max(0, ...seqs);
}

/** The image of a shard in which `x` had two places while it was copied: it was forgotten, and came back. */
function withXTwice(): { readonly live: OwnedStore; readonly restored: OwnedStore } {
  const live = new OwnedStore(1, SHARD_BYTES);
  for (const id of ['a', 'x', 'b', 'c', 'w', 'd']) live.put(id);
  for (const id of ['x', 'w']) {
    live.delist(id);
    live.forget(id);
  }
  const restored = new OwnedStore(1, SHARD_BYTES);
  let pieces = 0;
  imageOf(live.shards[0], restored.shards[0], 3, () => {
    if (++pieces > 1) return;
    live.sweep();
    // The last place that was freed is the first that is given away: that of w.
    live.put('x');
  });
  return { live, restored };
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

t.test('a product that was copied at two places is there once, as it was later', (t) => {
  const { live, restored } = withXTwice();
  const [shard] = restored.shards;
  t.same(idsOf(restored.store.walk()).toSorted(), ['a', 'b', 'c', 'd', 'x']);
  t.same(readProduct(restored.store, 'x'), readProduct(live.store, 'x'));
  t.equal(shard.taken, 5);
  t.equal(shard.certainEntries, 6);

  // The replay has the event; then the product goes for good, and nothing of it may be left.
  restored.seq = live.seq - 1;
  restored.put('x');
  restored.delist('x');
  restored.forget('x');
  restored.sweep();
  t.equal(restored.store.read('x'), 'missing');
  t.same(idsOf(restored.store.walk()).toSorted(), ['a', 'b', 'c', 'd']);
  t.equal(shard.taken, 4);
  for (const id of ['y', 'z']) restored.put(id);
  t.same(idsOf(restored.store.walk()).toSorted(), ['a', 'b', 'c', 'd', 'y', 'z']);
  t.equal(shard.certainEntries, 6, 'they went to the places of x');
  t.end();
});

for (const image of ['each product once', 'one of them twice']) {
  t.test(`a shard that is emptied is as a new one: ${image}`, (t) => {
    const into =
      image === 'one of them twice'
        ? withXTwice().restored.shards[0]
        : new OwnedStore(1, SHARD_BYTES).shards[0];
    if (image === 'each product once') imageOf(filled().shards[0], into);
    clearImage(into, ENTRIES);
    const fresh = new OwnedStore(1, SHARD_BYTES).shards[0];
    t.ok(Buffer.from(into.buffer).equals(Buffer.from(fresh.buffer)));
    t.end();
  });
}

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
