/** The window of receipts: the newest of each key, as many keys as it is made for. */
import t from 'tap';
import { type BatchReceipt, putReceipt, RECEIPT_OPEN } from '../../src/dedupe/batch-receipt.ts';
import { ReceiptWindow } from '../../src/dedupe/receipt-window.ts';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import { isMetaValid, SLOT_META, SLOT_SEQ, SlotViews } from '../../src/ring/slot.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const HASH_KEY = { k0: 3, k1: 4 };
const slots = new SlotViews(new ArrayBuffer(128), 0, 1);

function put(window: ReceiptWindow, key: string, seq: number, part: Partial<BatchReceipt> = {}) {
  const rest = {
    events: seq * 10,
    bytes: 7,
    crc: 0xfedcba98,
    since: 0,
    rejected: 1,
    firstSeq: 2,
    lastSeq: 3,
  };
  putReceipt(
    slots,
    0,
    fingerprintKey('request', key),
    { ...rest, state: RECEIPT_OPEN, ...part },
    5,
  );
  slots.doubles[SLOT_SEQ] = seq;
  window.put(slots, 0);
}

const find = (window: ReceiptWindow, key: string) => window.find(fingerprintKey('request', key));

t.test('gives back what was put, and the slot is one that a log may hold', (t) => {
  const window = new ReceiptWindow(ReceiptWindow.createFor(4), HASH_KEY);
  t.equal(find(window, 'a'), undefined);
  put(window, 'a', 9);
  t.ok(isMetaValid(slots.words[SLOT_META]));
  const numbers = { seq: 9, events: 90, bytes: 7, crc: 0xfedcba98, rejected: 1 };
  t.strictSame(find(window, 'a'), { ...numbers, since: 9, state: 1, firstSeq: 2, lastSeq: 3 });
  put(window, 'a', 12, { since: 9 });
  t.match(find(window, 'a'), { seq: 12, since: 9 });
  t.end();
});

const seed = testSeed();
t.test(`knows the last keys, whatever comes (seed ${seed})`, (t) => {
  const random = new Random(seed);
  for (const capacity of [1, 4, 64]) {
    let window = new ReceiptWindow(ReceiptWindow.createFor(capacity), HASH_KEY);
    /** In the order in which the keys came first. */
    const model = new Map<string, number>();
    for (let seq = 1; seq < 2000; seq++) {
      const key = `k${random.below(capacity * 2)}`;
      put(window, key, seq);
      model.set(key, seq);
      if (model.size > capacity) model.delete(model.keys().next().value as string);
      if (random.chance(0.01)) {
        // Another start, from a checkpoint.
        const copy = new ReceiptWindow(ReceiptWindow.createFor(capacity), { k0: seq, k1: 1 });
        for (const each of window.all()) copy.put(each, 0);
        window = copy;
      }
      if (random.chance(0.01)) window.takeOver(() => put(window, key, seq));
      if (!random.chance(0.2)) continue;
      for (let k = 0; k < capacity * 2; k++) {
        const found = find(window, `k${k}`);
        const seqFound = found === 'busy' ? -1 : found?.seq;
        if (seqFound !== model.get(`k${k}`))
          t.equal(seqFound, model.get(`k${k}`), `k${k} at ${seq}`);
      }
    }
    t.pass(`${capacity} keys`);
  }
  t.end();
});

t.test('a log thread that dies while it writes: readers wait for its successor', (t) => {
  const memory = ReceiptWindow.createFor(4);
  const window = new ReceiptWindow(memory, HASH_KEY);
  put(window, 'a', 1);
  // As if it had died behind the first step of `put`.
  Atomics.add(new Int32Array(memory.places), 0, 1);
  t.equal(find(window, 'a'), 'busy');
  window.takeOver(() => {
    put(window, 'a', 2);
    t.equal(find(window, 'a'), 'busy', 'not before everything is there again');
  });
  t.match(find(window, 'a'), { seq: 2 });
  t.end();
});
