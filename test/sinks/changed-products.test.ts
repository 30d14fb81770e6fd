/**
 * What a sink lacks is always found: whatever is written while it is looked for, whoever dies in the middle of
 * an entry, however little of the ring is left.
 */
import t from 'tap';
import { RingHistory } from '../../src/changes/ring-history.ts';
import { type ChangedProducts, ChangedProductsSearch } from '../../src/sinks/changed-products.ts';
import { ProductRows } from '../../src/sinks/product-rows.ts';
import { Shard } from '../../src/store/shard.ts';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { KEY, names, OwnedStore } from '../helpers/models/owned-store.ts';
import { Random } from '../helpers/models/random.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';

/** The commit ring when everything in it was overwritten. */
const LAPPED = { copy: () => 0 };

/** A sink as the search must see it: the seqs that it has, by product, and a position. */
class PlainSink {
  readonly seqs = new Map<string, number>();
  position = 0;
  readonly #rows: ProductRows;

  constructor(shards: readonly Shard[]) {
    this.#rows = new ProductRows(shards, KEY);
  }

  take(found: ChangedProducts, meanwhile: () => void = () => undefined): void {
    for (let i = 0; i < found.count; i++) {
      const row = this.#rows.read(found.shards[i], found.entries[i]);
      if (row === 'busy') throw new Error('an entry is busy');
      if (row === undefined) continue;
      if (row.seq > (this.seqs.get(row.id) ?? 0)) this.seqs.set(row.id, row.seq);
      meanwhile();
    }
    this.position = found.until;
  }
}

t.test('after any number of windows the sink has what the store has', (t) => {
  const random = new Random();
  for (let round = 0; round < 40; round++) {
    const owned = new OwnedStore(random.integer(1, 5), 64 << 10);
    const windowMax = random.integer(1, 60);
    const search = new ChangedProductsSearch({ shards: owned.shards, ring: LAPPED, windowMax });
    const sink = new PlainSink(owned.shards);
    const ids = names(random.integer(1, 300));
    const present = new Map<string, number>();
    const put = () => {
      const id = random.pick(ids);
      if (random.chance(0.1)) owned.delist(id);
      else owned.put(id);
      present.set(id, owned.seq);
    };
    for (let burst = 0; burst < 6; burst++) {
      for (let n = random.below(400); n >= 0; n--) put();
      for (let windows = random.below(8); windows > 0 && sink.position < owned.seq; windows--) {
        const found = search.find(sink.position, owned.seq);
        if (found === 'busy') throw new Error('nobody writes');
        if (found.count > windowMax || found.until <= sink.position) t.fail('a window too large');
        sink.take(found, () => {
          if (random.chance(0.2)) put();
        });
        for (const [id, seq] of present) {
          if (seq <= sink.position && sink.seqs.get(id) !== seq) t.fail(`lacks ${id}`);
        }
      }
    }
    while (sink.position < owned.seq) {
      const found = search.find(sink.position, owned.seq);
      if (found === 'busy') throw new Error('nobody writes');
      sink.take(found);
    }
    t.strictSame([...sink.seqs].sort(), [...present].sort(), `round ${round}, seed ${random.seed}`);
  }
  t.end();
});

t.test('an entry that a writer holds is waited for: its old state may be lacking', (t) => {
  const owned = new OwnedStore(1, 64 << 10);
  const search = new ChangedProductsSearch({ shards: owned.shards, ring: LAPPED });
  for (const id of names(5)) owned.put(id);
  const release = owned.hold(0, 2);
  t.equal(search.find(0, owned.seq), 'busy');
  // The applier died there, and its successor put the old state back.
  release();
  const found = search.find(0, owned.seq) as ChangedProducts;
  t.equal(found.count, 5);
  t.equal(found.until, 5);
  t.end();
});

t.test('a window ends where seqs lie far apart', (t) => {
  const owned = new OwnedStore(2, 64 << 10);
  const [first = '', ...others] = names(50);
  for (const id of others) owned.put(id);
  for (let n = 0; n < 20_000; n++) owned.put(first);
  const search = new ChangedProductsSearch({ shards: owned.shards, ring: LAPPED, windowMax: 20 });
  const sink = new PlainSink(owned.shards);
  let windows = 0;
  for (; sink.position < owned.seq; windows++) {
    sink.take(search.find(sink.position, owned.seq) as ChangedProducts);
  }
  t.equal(sink.seqs.size, 50);
  t.ok(windows < 20, `${windows} windows`);
  t.end();
});

t.test('few events are taken from the commit ring, without a look at all entries', async (t) => {
  const pipeline = await Pipeline.start(t, { dataDir: tempDir(t) });
  const { path } = pipeline;
  const event = (productId: string) => ({
    productId,
    price: 1,
    stock: 1,
    occurredAtMs: 1_700_000_000_000,
    isDelete: false,
  });
  const ids = names(2000);
  for (const id of ids) void pipeline.send(event(id)).catch((error) => t.fail(error));
  await polled(() => (path.watermark.seq >= ids.length ? true : undefined), 60_000, 'all');
  const seqs = await Promise.all(
    ['product-7', 'product-7', 'new'].map((id) => pipeline.send(event(id))),
  );
  const last = Math.max(...seqs);
  await polled(() => (path.watermark.seq >= last ? true : undefined), 60_000, 'the last');

  const shards = path.memory.shards.map((buffer) => new Shard(buffer));
  const ring = new RingHistory(path.commits, path.progress);
  const search = new ChangedProductsSearch({ shards, ring });
  // Whoever scans meets it.
  const [{ words, entriesAt }] = shards;
  Atomics.add(words, entriesAt, 1);
  t.equal(search.find(0, last), 'busy', 'many events: a scan');
  const found = search.find(ids.length, last) as ChangedProducts;
  Atomics.add(words, entriesAt, 1);
  t.equal(found.count, 2, 'each product once');
  const sink = new PlainSink(shards);
  sink.take(found);
  t.strictSame([...sink.seqs.keys()].sort(), ['new', 'product-7']);
  const again = search.find(ids.length, last) as ChangedProducts;
  t.equal(again.count, 2, 'a search leaves no marks behind');
});
