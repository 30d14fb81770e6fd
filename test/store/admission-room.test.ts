/** Events whose products may be known can reserve room, but never the last of it. */
import t from 'tap';
import { Admission } from '../../src/store/admission.ts';
import { SHARD_RELEASED, SHARD_USED, Shard } from '../../src/store/shard.ts';

const ENTRIES = 3000;
const ROOM_KEPT = 1024;
/** More calls than pass between two counts. */
const MANY_CALLS = 1000;

function createAdmission(): { admission: Admission; shard: Shard } {
  const size = { cells: 8192, entries: ENTRIES };
  const shard = Shard.create(size);
  const plan = { shards: 1, shard: size, productsMax: ENTRIES };
  return { admission: new Admission([shard], plan), shard };
}

/** Reserves as long as there is said to be plenty; returns how often. */
function reservePlenty(admission: Admission): number {
  let reserved = 0;
  for (let calls = 0; calls < ENTRIES + MANY_CALLS; calls++) {
    if (!admission.isPlentiful(0)) continue;
    if (admission.reserve(0) !== 'reserved') throw new Error('plenty, but refused');
    reserved++;
  }
  return reserved;
}

t.test('leaves the last room to products that are certainly new', (t) => {
  const { admission } = createAdmission();
  t.equal(reservePlenty(admission), ENTRIES - ROOM_KEPT);
  for (let i = 0; i < ROOM_KEPT; i++) {
    if (admission.reserve(0) !== 'reserved') t.fail(`new product ${i} was refused`);
  }
  t.equal(admission.reserve(0), 'undecided', 'all the room is reserved by events in flight');
  t.end();
});

t.test('finds plenty again when reservations came back unused', (t) => {
  const { admission, shard } = createAdmission();
  const reserved = reservePlenty(admission);
  t.notOk(admission.isPlentiful(0));
  Atomics.store(shard.words, SHARD_RELEASED, reserved);
  t.equal(reservePlenty(admission), ENTRIES - ROOM_KEPT);
  t.end();
});

t.test('says full, and never plenty, once entries fill the store', (t) => {
  const { admission, shard } = createAdmission();
  const reserved = reservePlenty(admission);
  Atomics.store(shard.words, SHARD_USED, ENTRIES);
  Atomics.store(shard.words, SHARD_RELEASED, reserved);
  t.equal(reservePlenty(admission), 0);
  t.equal(admission.reserve(0), 'full');
  t.end();
});
