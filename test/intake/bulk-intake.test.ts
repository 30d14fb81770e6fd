/** The bulk intake's room, and what single events make of it. */
import t from 'tap';
import { BulkIntake } from '../../src/intake/bulk-intake.ts';
import { SlotAdmission } from '../../src/intake/slot-admission.ts';
import { INTAKE_HEAD, IntakeRing, publishHead, publishTail } from '../../src/ring/intake-ring.ts';
import {
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../../src/ring/slot.ts';
import { Admission } from '../../src/store/admission.ts';
import { Shard } from '../../src/store/shard.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { planStore } from '../../src/store/sizing.ts';

const QUEUE_SIZE = 4096;
const LIVE_SHARE = 1024;

function setup(t: { teardown(done: () => void): void }) {
  const plan = planStore(1 << 16, 1);
  const shards = [Shard.create(plan.shard)];
  const hashKey = { k0: 1, k1: 2 };
  const store = new SharedProductStore(shards, hashKey);
  const admission = new Admission(shards, plan);
  const rings = { live: IntakeRing.create(16), bulk: IntakeRing.create(QUEUE_SIZE) };
  const intake = new BulkIntake({
    rings,
    queueSize: QUEUE_SIZE,
    batchesMax: 2,
    admission: new SlotAdmission({ store, admission, shards: 1, hashKey }),
    storageTimeoutMs: 60_000,
  });
  t.teardown(() => intake.dispose());
  return { intake, rings };
}

t.test('begins batches while it is open, has storage and a place', async (t) => {
  const { intake } = setup(t);
  t.equal(intake.begin(), 'closed');
  intake.open();
  intake.storageAvailable = false;
  t.equal(intake.begin(), 'storage-unavailable');
  t.equal(intake.room(), 0);
  intake.storageAvailable = true;
  const first = intake.begin();
  intake.begin();
  t.equal(intake.begin(), 'queue-full');
  if (typeof first === 'object') void intake.end(first);
  t.type(intake.begin(), 'object');
});

t.test('keeps the queue short while single events come', async (t) => {
  const { intake, rings } = setup(t);
  intake.publish();
  t.equal(intake.room(), QUEUE_SIZE);
  publishHead(rings.live, 1, rings.live);
  intake.publish();
  t.equal(intake.room(), LIVE_SHARE);
});

t.test('closes when every batch has ended', async (t) => {
  const { intake } = setup(t);
  intake.open();
  const batch = intake.begin();
  if (typeof batch !== 'object') throw new Error(batch);
  let isTold = false;
  batch.onStop = () => {
    isTold = true;
  };
  let isClosed = false;
  const closed = intake.close().then(() => {
    isClosed = true;
  });
  t.ok(isTold);
  await new Promise(setImmediate);
  t.notOk(isClosed);
  void intake.end(batch);
  await closed;
  t.equal(intake.begin(), 'closed');
});

t.test('a batch that failed is gone when the log has dealt with all of it', async (t) => {
  const { intake, rings } = setup(t);
  intake.open();
  const batch = intake.begin();
  if (typeof batch !== 'object') throw new Error(batch);
  intake.claimReceipt(batch, () => undefined);
  // Overdue, before the next turn publishes what it has claimed.
  batch.fail();
  await intake.whenSettled(batch);
  let isGone = false;
  const ended = intake.end(batch).then(() => {
    isGone = true;
  });
  const closed = intake.close();
  await new Promise(setImmediate);
  t.notOk(isGone);
  t.equal(Atomics.load(rings.bulk.cursors, INTAKE_HEAD), 1, 'nobody else would have published it');
  publishTail(rings.bulk, 1);
  await ended;
  await closed;
  t.pass('both are over');
});

t.test('nothing is on its way any more when the log thread gave up', async (t) => {
  const { intake } = setup(t);
  intake.open();
  const batch = intake.begin();
  if (typeof batch !== 'object') throw new Error(batch);
  intake.claimReceipt(batch, () => undefined);
  let isGone = false;
  const ended = intake.end(batch).then(() => {
    isGone = true;
  });
  await new Promise(setImmediate);
  t.notOk(isGone);
  intake.failAll();
  await ended;
  t.ok(isGone);
});

t.test(
  'counts what is settled, with keys and without, with the seqs of others in between',
  async (t) => {
    const { intake, rings } = setup(t);
    intake.open();
    const batch = intake.begin();
    if (typeof batch !== 'object') throw new Error(batch);
    const ranges: [number, number][] = [];
    batch.onSeqs = (from, to) => ranges.push([from, to]);
    const conflicts: number[] = [];
    batch.onConflict = (number) => conflicts.push(number);
    const { bulk } = rings;
    const { words, doubles } = bulk.slots;
    for (let n = 0; n < 10; n++) {
      const index = intake.nextSlot();
      words[index * SLOT_WORDS + SLOT_META] = 0;
      intake.claim(batch, n + 1, n >= 6);
    }
    intake.publish();
    // As the log thread does: 3 events, one of somebody else, 3 events, then those with keys.
    const seqs = [11, 12, 13, 15, 16, 17, 18, 4, 0, 19];
    for (const [index, seq] of seqs.entries()) doubles[index * SLOT_DOUBLES + SLOT_SEQ] = seq;
    words[7 * SLOT_WORDS + SLOT_META] = FLAG_DUPLICATE;
    words[8 * SLOT_WORDS + SLOT_META] = FLAG_CONFLICT;
    publishTail(bulk, 2);
    intake.publish();
    t.strictSame([batch.accepted, batch.inFlight, ranges], [2, 8, [[11, 12]]]);
    publishTail(bulk, 10);
    intake.publish();
    t.match(batch, { accepted: 8, duplicates: 1, inFlight: 0, firstSeq: 4, lastSeq: 19 });
    const noted = ranges.flatMap(([from, to]) =>
      Array.from({ length: to - from + 1 }, (_, i) => from + i),
    );
    t.strictSame(noted, [11, 12, 13, 15, 16, 17, 18, 4, 19], 'not 14');
    t.strictSame(conflicts, [9]);
  },
);
