/** The drawn layouts hold, and slots move from ring to ring unchanged. */
import t from 'tap';
import {
  COMMIT_BELL_BACK,
  COMMIT_CLOSED,
  COMMIT_DOORBELL,
  COMMIT_HEAD,
  CommitRing,
  commitCursor,
} from '../../src/ring/commit-ring.ts';
import {
  INTAKE_BELL_BACK,
  INTAKE_DOORBELL,
  INTAKE_HEAD,
  INTAKE_STOP,
  INTAKE_TAIL,
  IntakeRing,
  nextPowerOfTwo,
} from '../../src/ring/intake-ring.ts';
import {
  copySlots,
  describeSlot,
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_IF_UNLISTED,
  ID_BYTES_MAX,
  isMetaValid,
  KIND_UPSERT,
  metaIdBytes,
  metaKind,
  packMeta,
  SLOT_BYTES,
  SlotViews,
} from '../../src/ring/slot.ts';
import { putEvent } from '../helpers/models/plain-event.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const LINE_BYTES = 64;

t.test('a ring holds the next power of two', (t) => {
  t.equal(nextPowerOfTwo(1), 1);
  for (let power = 1; power <= 30; power++) {
    t.equal(nextPowerOfTwo(2 ** power), 2 ** power);
    t.equal(nextPowerOfTwo(2 ** power - 1), power === 1 ? 1 : 2 ** power);
    if (power < 30) t.equal(nextPowerOfTwo(2 ** power + 1), 2 ** (power + 1));
  }
  for (const slots of [1, 2, 3, 1000, 1024, 1025]) {
    const intake = IntakeRing.create(slots);
    t.equal(intake.capacity, nextPowerOfTwo(slots));
    t.equal(new IntakeRing(intake.buffer).capacity, intake.capacity, 'seen from another thread');
    for (const appliers of [0, 1, 3, 64]) {
      const commit = CommitRing.create(slots, appliers);
      t.equal(commit.capacity, nextPowerOfTwo(slots));
      t.equal(new CommitRing(commit.buffer, appliers).capacity, commit.capacity);
    }
  }
  t.end();
});

t.test('every cursor and bell has a cache line to itself, before the slots', (t) => {
  const intake = [INTAKE_HEAD, INTAKE_TAIL, INTAKE_DOORBELL, INTAKE_BELL_BACK, INTAKE_STOP];
  const commit = [COMMIT_HEAD, COMMIT_DOORBELL, COMMIT_CLOSED, COMMIT_BELL_BACK];
  const appliers = 5;
  for (let i = 0; i < appliers; i++) commit.push(commitCursor(i));
  for (const [words, ring] of [
    [intake, IntakeRing.create(8)],
    [commit, CommitRing.create(8, appliers)],
  ] as const) {
    const lines = words.map((word) => Math.floor((word * 4) / LINE_BYTES));
    t.equal(new Set(lines).size, words.length, 'no line is shared');
    const slotsByte = ring.slots.bytes.byteOffset;
    t.ok(words.every((word) => word * 4 + 4 <= slotsByte));
    t.equal(slotsByte % 8, 0);
    const routesBytes = 'routes' in ring ? ring.routes.byteLength : 0;
    t.equal(slotsByte + ring.slots.bytes.byteLength + routesBytes, ring.buffer.byteLength);
  }
  t.end();
});

t.test('meta packs and is checked', (t) => {
  for (const idBytes of [1, 2, 63, 64]) {
    const meta = packMeta(KIND_UPSERT, FLAG_HAS_PRICE | FLAG_ARRIVAL_TIME, idBytes) | 0;
    t.equal(metaIdBytes(meta), idBytes, 'also when the sign bit is set');
    t.equal(metaKind(meta), KIND_UPSERT);
    t.ok(isMetaValid(meta));
    t.ok(isMetaValid(meta >>> 0));
  }
  t.notOk(isMetaValid(0));
  t.notOk(isMetaValid(packMeta(KIND_UPSERT, 0, 0)));
  t.notOk(isMetaValid(packMeta(KIND_UPSERT, 0, ID_BYTES_MAX + 1)));
  t.notOk(isMetaValid(packMeta(0, 0, 5)));
  t.notOk(isMetaValid(packMeta(2, 0, 5)), 'between the kinds');
  t.notOk(isMetaValid(packMeta(KIND_UPSERT, 1 << 23, 5)));
  t.ok(isMetaValid(packMeta(KIND_UPSERT, FLAG_IF_UNLISTED, 5)));
  t.end();
});

t.test('a slot is described as what was put into it', (t) => {
  const slots = new SlotViews(new SharedArrayBuffer(3 * SLOT_BYTES), 0, 3);
  const event = { seq: 7, productId: 'é😀', price: 1.5, stock: undefined, occurredAtMs: 12 };
  putEvent(slots, 1, event, { k0: 1, k1: 2 });
  t.same(describeSlot(slots, 1), event);
  t.end();
});

const seed = testSeed();
t.test(`copySlots is a copy slot by slot, across both wraps (seed ${seed})`, (t) => {
  const random = new Random(seed);
  for (let round = 0; round < 500; round++) {
    const from = new SlotViews(new SharedArrayBuffer(2 ** random.below(6) * SLOT_BYTES), 0, 1);
    const to = new SlotViews(new SharedArrayBuffer(2 ** random.below(6) * SLOT_BYTES), 0, 1);
    const source = new Uint8Array(from.bytes.buffer).map(() => random.below(256));
    new Uint8Array(from.bytes.buffer).set(source);
    const fromSlots = source.length / SLOT_BYTES;
    const toSlots = to.bytes.buffer.byteLength / SLOT_BYTES;
    const count = random.below(Math.min(fromSlots, toSlots) + 1);
    const near = () => (random.pick([0, 2 ** 31 - 8, -8, random.word()]) + random.below(16)) | 0;
    const [fromCursor, toCursor] = [near(), near()];
    const expected = new Uint8Array(toSlots * SLOT_BYTES);
    for (let i = 0; i < count; i++) {
      const at = ((fromCursor + i) & (fromSlots - 1)) * SLOT_BYTES;
      expected.set(
        source.subarray(at, at + SLOT_BYTES),
        ((toCursor + i) & (toSlots - 1)) * SLOT_BYTES,
      );
    }
    const all = (views: SlotViews, slots: number) => new SlotViews(views.bytes.buffer, 0, slots);
    copySlots(
      all(from, fromSlots),
      fromSlots - 1,
      fromCursor,
      all(to, toSlots),
      toSlots - 1,
      toCursor,
      count,
    );
    if (!Buffer.from(to.bytes.buffer.slice(0) as ArrayBuffer).equals(expected)) {
      t.fail(`round ${round}`, { fromCursor, toCursor, count, fromSlots, toSlots });
    }
  }
  t.pass();
  t.end();
});
