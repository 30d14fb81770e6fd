/** Prefetching is only reading: whatever the slots hold, the store stays as it is. */
import t from 'tap';
import { PREFETCH_SLOTS } from '../../src/store/shard-writer.ts';
import { MortalStore } from '../helpers/models/mortal-store.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();

t.test(`known and unknown products, alone and many (seed ${seed})`, (t) => {
  const random = new Random(seed);
  const memory = new MortalStore({ k0: random.word() | 0, k1: random.word() | 0 }, 2, 4096);
  const slots = new Int32Array(PREFETCH_SLOTS);
  const drawn = new Set<string>();
  for (let cursor = 0; cursor < 200; cursor++) {
    const productId = `p${random.below(20)}`;
    drawn.add(productId);
    memory.put(cursor, { seq: cursor + 1, productId, price: 1, stock: 1, occurredAtMs: cursor });
    const slot = memory.slotOf(cursor);
    for (let i = 0; i < PREFETCH_SLOTS; i++) slots[i] = i < cursor ? memory.slotOf(i) : slot;
    const before = memory.fingerprint();
    memory.writes.run(Infinity, () => {
      const writer = memory.freshWriter();
      for (const count of [0, 1, PREFETCH_SLOTS]) writer.prefetch(slots, count);
    });
    t.equal(memory.fingerprint(), before);
    memory.writes.run(Infinity, () => void memory.freshWriter().apply(cursor, slot, 0));
  }
  t.equal(memory.store.size, drawn.size);
  t.end();
});
