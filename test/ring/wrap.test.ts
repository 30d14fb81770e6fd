/**
 * Both rings carried right across the wraps of their 32-bit cursors, by real threads: from 2^31 − 1
 * to −2^31 and from −1 to 0. Every slot arrives once, in order and whole; full is exactly full.
 */
import t from 'tap';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { CommitRing } from '../../src/ring/commit-ring.ts';
import {
  INTAKE_BELL_BACK,
  INTAKE_DOORBELL,
  INTAKE_HEAD,
  INTAKE_TAIL,
  IntakeRing,
} from '../../src/ring/intake-ring.ts';
import { SLOT_BYTES, SlotViews } from '../../src/ring/slot.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { Consumer, fillSlot } from './ring-consumer.ts';

const TOTAL = 20_000;
const FIRST_CURSORS = [2 ** 31 - TOTAL / 2, -TOTAL / 2, 2 ** 31 - 1, -1];
const seed = testSeed();

for (const firstCursor of FIRST_CURSORS) {
  t.test(`intake ring from ${firstCursor} (seed ${seed})`, async (t) => {
    const limit = 5;
    const ring = IntakeRing.create(limit, firstCursor);
    const { cursors, slots, mask } = ring;
    t.equal(ring.capacity, 8);
    const data = { appliers: 0, index: 0, total: TOTAL, buffer: ring.buffer } as const;
    const consumer = new Consumer({ kind: 'intake', ...data });
    const random = new Random(seed);
    let head = firstCursor | 0;
    let fullest = 0;
    for (let n = 1; n <= TOTAL; ) {
      const bell = Atomics.load(cursors, INTAKE_BELL_BACK);
      const inFlight = (head - Atomics.load(cursors, INTAKE_TAIL)) | 0;
      if (inFlight < 0 || inFlight > limit) throw new Error(`${inFlight} in flight`);
      fullest = Math.max(fullest, inFlight);
      if (inFlight === limit) {
        // It is full once for certain.
        consumer.allow(TOTAL);
        Atomics.wait(cursors, INTAKE_BELL_BACK, bell);
        continue;
      }
      const most = Math.min(limit - inFlight, TOTAL + 1 - n);
      for (let batch = 1 + random.below(most); batch > 0; batch--, n++) {
        fillSlot(slots, head & mask, n);
        head = (head + 1) | 0;
      }
      Atomics.store(cursors, INTAKE_HEAD, head);
      Atomics.add(cursors, INTAKE_DOORBELL, 1);
      Atomics.notify(cursors, INTAKE_DOORBELL);
    }
    t.equal(await consumer.verdict(), '');
    t.equal(fullest, limit, 'it was full');
    t.equal(Atomics.load(cursors, INTAKE_TAIL), (firstCursor + TOTAL) | 0);
  });

  t.test(`commit ring from ${firstCursor}, three consumers (seed ${seed})`, async (t) => {
    const appliers = 3;
    const ring = CommitRing.create(16, appliers, firstCursor);
    const consumers = Array.from({ length: appliers }, (_, index) => {
      const data = { appliers, index, total: TOTAL, buffer: ring.buffer } as const;
      return new Consumer({ kind: 'commit', ...data });
    });
    const publisher = new CommitPublisher(ring);
    const staged = new SlotViews(new ArrayBuffer(16 * SLOT_BYTES), 0, 16);
    const stage = (first: number, count: number) => {
      for (let i = 0; i < count; i++) fillSlot(staged, i, first + i);
    };

    // One of them stands still: the ring takes exactly its capacity and then nothing.
    for (const consumer of consumers.slice(1)) consumer.allow(TOTAL);
    stage(1, 16);
    t.equal(publisher.free(), 16);
    for (let i = 0; i < 16; i++) {
      publisher.write(staged, 15, i, 1, i);
      publisher.publish();
      t.equal(publisher.free(), 15 - i, 'the slowest one counts');
    }
    t.equal(publisher.free(), 0, 'full');
    consumers[0]?.allow(3);
    publisher.waitForRoom();
    t.ok(publisher.free() > 0 && publisher.free() <= 3, 'as many are free as the slowest passed');

    const random = new Random(seed);
    for (let n = 17; n <= TOTAL; ) {
      // The slow one is let on by a few at a time, never further than the ring reaches.
      consumers[0]?.allow(n - 1 - random.below(12));
      publisher.waitForRoom();
      const count = Math.min(1 + random.below(16), publisher.free(), TOTAL + 1 - n);
      stage(n, count);
      publisher.write(staged, 15, 0, count, n);
      publisher.publish();
      n += count;
    }
    consumers[0]?.allow(TOTAL);
    publisher.waitUntilApplied();
    t.equal(ring.backlog(publisher.head), 0);
    t.equal(publisher.head, (firstCursor + TOTAL) | 0);
    for (const consumer of consumers) t.equal(await consumer.verdict(), '');
  });
}
