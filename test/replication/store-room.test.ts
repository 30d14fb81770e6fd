/** The last places of a store: who has them is decided by the order of events, exactly. */
import t from 'tap';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { StoreRoom } from '../../src/replication/store-room.ts';
import { CommitRing } from '../../src/ring/commit-ring.ts';
import { SLOT_BYTES, SlotViews } from '../../src/ring/slot.ts';
import { SHARD_USED, Shard, shardOf, shardSize } from '../../src/store/shard.ts';
import { putEvent } from '../helpers/models/plain-event.ts';

const KEY = { k0: 1, k1: 2 };

function slotsOf(ids: readonly string[], expectedSeq = 0): SlotViews {
  const slots = new SlotViews(new ArrayBuffer(ids.length * SLOT_BYTES), 0, ids.length);
  for (const [i, productId] of ids.entries()) {
    const event = { seq: 0, productId, price: 1, stock: 1, occurredAtMs: 1, expectedSeq };
    putEvent(slots, i, event, KEY);
  }
  return slots;
}

t.test('as many new products fit as there are places', (t) => {
  const shard = Shard.create(shardSize(4096));
  const free = 3;
  shard.words[SHARD_USED] = shard.entries - free;
  const room = new StoreRoom([shard], new CommitPublisher(CommitRing.create(64, 0)));
  t.equal(room.isTight(free), false, 'they fit anyway');
  t.equal(room.isTight(free + 1), true);
  const slots = slotsOf(['a', 'b', 'a', 'c', 'd', 'b']);
  t.strictSame(
    [0, 1, 2, 3, 4, 5].map((i) => room.fits(slots, i)),
    [true, true, true, true, false, true],
    'a repeated one needs no second place, the fourth has none',
  );
  t.equal(room.isTight(free + 1), true);
  t.equal(room.fits(slotsOf(['x'], 17), 0), true, 'what will be refused makes nothing');
  t.equal(room.fits(slotsOf(['y']), 0), true);
  t.equal(shardOf(1, 1), 0);
  t.end();
});
