/** Going through all products: each once, whatever is written, and none that a GET would not show. */
import t from 'tap';
import { MortalStore } from '../helpers/models/mortal-store.ts';
import { idsOf, names, OwnedStore } from '../helpers/models/owned-store.ts';

t.test('meets every product once, with its state', async (t) => {
  const owned = new OwnedStore(4, 64 * 1024);
  const ids = [...names(500), '😀'.repeat(16), 'ünï', 'x'.repeat(64), '"', ' '];
  for (const id of ids) owned.put(id);
  const walk = owned.store.walk();
  const met: string[] = [];
  while (walk.next() === 'found') {
    met.push(walk.id);
    t.equal(owned.store.read(walk.id), 'found');
    t.equal(walk.state.seq, owned.store.state.seq, walk.id);
    t.equal(walk.state.price, walk.state.seq);
  }
  t.equal(walk.next(), 'end');
  t.equal(walk.place, undefined);
  t.same(met.toSorted(), ids.toSorted());
});

t.test('is at its end at once in an empty store', async (t) => {
  const owned = new OwnedStore(3, 4096);
  const walk = owned.store.walk();
  t.equal(walk.place, undefined);
  t.equal(walk.next(), 'end');
  t.same(idsOf(owned.store.walk()), []);
});

t.test('updates and inserts on the way hide nothing and repeat nothing', async (t) => {
  const owned = new OwnedStore(4, 256 * 1024);
  const before = names(1000);
  for (const id of before) owned.put(id);
  const walk = owned.store.walk();
  const met: string[] = [];
  for (let n = 0; ; n++) {
    const step = walk.next();
    if (step === 'end') break;
    met.push(walk.id);
    owned.put(`product-${(n * 7) % 1000}`);
    if (n < 1000) owned.put(`new-${n}`);
  }
  t.equal(new Set(met).size, met.length, 'nothing twice');
  t.same(met.filter((id) => !id.startsWith('new-')).toSorted(), before.toSorted());
});

t.test('another walk goes on at the place of one', async (t) => {
  const owned = new OwnedStore(4, 64 * 1024);
  for (const id of names(200)) owned.put(id);
  const whole = idsOf(owned.store.walk());
  for (const passed of [0, 1, 50, 199]) {
    const walk = owned.store.walk();
    for (let i = 0; i < passed; i++) walk.next();
    const { place } = walk;
    const next = owned.store.walkFrom(place ?? { shard: 99, entry: 0 });
    t.same(next && idsOf(next), whole.slice(passed), `${passed} passed`);
  }
  t.equal(owned.store.walkFrom({ shard: 4, entry: 0 }), undefined);
  t.equal(owned.store.walkFrom({ shard: 0, entry: 1e9 }), undefined);
  const behindAll = { shard: 3, entry: owned.shards[3].entries };
  t.equal(owned.store.walkFrom(behindAll)?.next(), 'end');
});

t.test('passes over products that are not listed', async (t) => {
  const owned = new OwnedStore(1, 4096);
  for (const id of ['a', 'b', 'c']) owned.put(id);
  owned.delist('b');
  const walk = owned.store.walk();
  t.same(
    [walk.next(), walk.next(), walk.next(), walk.next()],
    ['found', 'delisted', 'found', 'end'],
  );
  owned.put('b', { stock: undefined });
  t.same(idsOf(owned.store.walk()), ['a', 'b', 'c']);
});

t.test('an entry that is being written is busy, and read when it no longer is', async (t) => {
  const owned = new OwnedStore(1, 4096);
  for (const id of ['a', 'b']) owned.put(id);
  const letGo = owned.hold(0, 1);
  const walk = owned.store.walk();
  t.equal(walk.next(), 'found');
  t.equal(walk.next(), 'busy');
  t.equal(walk.next(), 'busy');
  letGo();
  t.equal(walk.next(), 'found');
  t.equal(walk.id, 'b');
  t.equal(walk.next(), 'end');
});

t.test('an insert that died half done is not met, at whatever write it died', async (t) => {
  const memory = new MortalStore({ k0: 1, k1: 2 }, 1, 4096);
  const event = (seq: number, productId: string) => ({
    seq,
    productId,
    price: seq,
    stock: seq,
    occurredAtMs: seq,
  });
  const apply = (seq: number, productId: string, writesMax: number) => {
    memory.put(seq, event(seq, productId));
    return memory.writes.run(writesMax, () => {
      memory.freshWriter().apply(seq, memory.slotOf(seq), seq);
    });
  };
  apply(1, 'first', Number.POSITIVE_INFINITY);
  let deaths = 0;
  for (let writesMax = 0; ; writesMax++) {
    const restore = memory.snapshot();
    const died = apply(2, 'half-done-with-a-long-name', writesMax);
    const isThere = memory.store.read('half-done-with-a-long-name') === 'found';
    const isMet = idsOf(memory.store.walk()).length > 1;
    t.ok(isThere || !isMet, `dead before write ${writesMax}`);
    // It is dead: what has its cell stays, else another product takes its place.
    if (died) memory.writes.run(Number.POSITIVE_INFINITY, () => memory.freshWriter().undo(2));
    const expected = isThere ? ['first', 'half-done-with-a-long-name'] : ['first'];
    t.same(idsOf(memory.store.walk()), expected, `and its successor is there`);
    if (!isThere) {
      apply(3, 'other', Number.POSITIVE_INFINITY);
      t.same(idsOf(memory.store.walk()), ['first', 'other']);
    }
    if (!died) break;
    deaths++;
    restore();
  }
  t.ok(deaths > 20, `${deaths} deaths`);
});
