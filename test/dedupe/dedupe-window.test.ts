/**
 * The dedupe window against plain objects: what it knows, what it forgets, what a successor finds
 * after a death at any step, and what the checkpoint reads of it. Positions cross their wrap.
 */
import t from 'tap';
import {
  DEDUPE_ENTRY_WORDS,
  DedupeWindow,
  KEY_CONFLICT,
  KEY_UNKNOWN,
} from '../../src/dedupe/dedupe-window.ts';
import { DyingWrites } from '../helpers/models/dying-writes.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const KEY = { k0: 1, k1: 2 };
/** Room for 8 events and 8 that are taken back. */
const EVENTS = 8;
const UNCOMMITTED = 8;
const CAPACITY = 16;
const seed = testSeed();

/** Four words: the key (of which two in a hundred thousand share two words) and the content. */
function fingerprint(key: number, content: number): Int32Array {
  return new Int32Array([key, key & 1, 7, content]);
}

interface Entry {
  readonly key: number;
  readonly content: number;
  readonly seq: number;
}

class WindowModel {
  entries: Entry[] = [];

  add(entry: Entry): void {
    this.entries.push(entry);
    if (this.entries.length > CAPACITY) this.entries.shift();
  }

  seqOf(key: number, content: number): number {
    const known = this.entries.findLast((entry) => entry.key === key);
    if (known === undefined) return KEY_UNKNOWN;
    return known.content === content ? known.seq : KEY_CONFLICT;
  }
}

function readAll(window: DedupeWindow, seq: number, room: number): Entry[] {
  const into = new Int32Array(room * DEDUPE_ENTRY_WORDS);
  const read: Entry[] = [];
  for (const count of window.entriesBefore(seq, into)) {
    for (let e = 0; e < count * DEDUPE_ENTRY_WORDS; e += DEDUPE_ENTRY_WORDS) {
      const seqWords = into.slice(e + 4, e + 6);
      read.push({
        key: into[e],
        content: into[e + 3],
        seq: new Float64Array(seqWords.buffer)[0],
      });
    }
  }
  return read;
}

function made(firstPosition: number) {
  const buffer = DedupeWindow.create(EVENTS, firstPosition, UNCOMMITTED);
  return { buffer, window: new DedupeWindow(buffer, KEY) };
}

t.test('it takes 32 bytes for each entry and holds a window and a batch', (t) => {
  t.equal(DedupeWindow.create(1_000_000).byteLength, 192 + 32 * 2 ** 20);
  t.equal(DedupeWindow.create(1_000).byteLength, 192 + 32 * 2 ** 14);
  t.equal(DedupeWindow.create(100_000_000).byteLength, 192 + 32 * 2 ** 27);
  t.equal(made(0).window.capacity, CAPACITY);
  t.end();
});

for (const firstPosition of [0, 2 ** 31 - 500, -500]) {
  t.test(`against a list, from position ${firstPosition} (seed ${seed})`, (t) => {
    const random = new Random(seed);
    const { window } = made(firstPosition);
    const model = new WindowModel();
    let seq = 2 ** 33;
    const faults: string[] = [];
    for (let step = 0; step < 20_000; step++) {
      const key = random.below(40);
      const content = random.below(3);
      const words = fingerprint(key, content);
      if (random.chance(0.01)) {
        // A successor takes back up to a batch; the model has lost what made room for it.
        const taken = Math.min(random.below(UNCOMMITTED + 1), model.entries.length);
        const from = model.entries.at(-taken)?.seq ?? 0;
        if (taken > 0) model.entries.splice(-taken);
        window.takeOver(taken > 0 ? from : seq);
      } else if (window.seqOf(words, 0) === KEY_UNKNOWN || random.chance(0.2)) {
        window.add(words, 0, seq);
        model.add({ key, content, seq });
        seq += 1 + random.below(3);
      }
      const asked = fingerprint(random.below(40), random.below(3));
      const wanted = model.seqOf(asked[0], asked[3]);
      const found = window.seqOf(asked, 0);
      if (found !== wanted) faults.push(`step ${step}: ${found} instead of ${wanted}`);
      if (window.size !== model.entries.length) faults.push(`step ${step}: size ${window.size}`);
      if (step % 50 !== 0) continue;
      const before = model.entries[random.below(CAPACITY)]?.seq ?? seq;
      const read = readAll(window, before, random.integer(1, 20));
      const expected = model.entries.filter((entry) => entry.seq < before);
      if (JSON.stringify(read) !== JSON.stringify(expected)) faults.push(`step ${step}: read`);
    }
    t.same(faults, []);
    t.end();
  });
}

t.test('what is read from one window can be restored into another', (t) => {
  const from = made(-3).window;
  for (let n = 1; n <= 30; n++) from.add(fingerprint(n, n % 3), 0, n);
  const into = new Int32Array(4 * DEDUPE_ENTRY_WORDS);
  const to = made(5).window;
  for (const count of from.entriesBefore(29, into)) to.restore(into, count);
  t.same(
    readAll(to, Number.POSITIVE_INFINITY, 100).map(({ seq }) => seq),
    Array.from({ length: 14 }, (_, i) => 15 + i),
    'the last 16, but those from 29 on',
  );
  t.equal(to.seqOf(fingerprint(20, 2), 0), 20);
  t.equal(to.seqOf(fingerprint(20, 1), 0), KEY_CONFLICT);
  t.equal(to.seqOf(fingerprint(14, 2), 0), KEY_UNKNOWN);
  t.end();
});

t.test('a death at any step of a batch leaves what was committed, and nothing else', (t) => {
  const committed = 20;
  const batch = (window: DedupeWindow) => {
    // Old keys that come again, new ones, and one twice.
    for (const [n, key] of [21, 1, 22, 2, 23, 22, 24].entries()) {
      const words = fingerprint(key, 9);
      if (window.seqOf(words, 0) === KEY_UNKNOWN) window.add(words, 0, committed + 1 + n);
    }
  };
  const fill = () => {
    const fresh = made(2 ** 31 - 10);
    for (let n = 1; n <= committed; n++) fresh.window.add(fingerprint(n, 0), 0, n);
    return fresh;
  };
  const writes = new DyingWrites();
  const random = new Random(seed);
  for (let at = 0; ; at++) {
    const { buffer, window } = fill();
    const died = writes.run(at, () => batch(window));
    const successor = new DedupeWindow(buffer, KEY);
    // Whatever half of a change stood in the index.
    const index = new Int32Array(buffer, 192 + CAPACITY * 24, 2 * CAPACITY);
    for (let cell = 0; cell < index.length; cell++) index[cell] = random.below(CAPACITY + 1);
    successor.takeOver(committed + 1);
    const seqs = readAll(successor, Number.POSITIVE_INFINITY, 5).map((entry) => entry.seq);
    const expected = Array.from({ length: seqs.length }, (_, i) => committed + 1 - seqs.length + i);
    t.strictSame(seqs, expected, `death before write ${at}: in order, up to the last committed`);
    t.ok(seqs.length >= EVENTS, `death before write ${at}: at least the window`);
    for (let n = 1; n <= 24; n++) {
      const known = seqs.includes(n) ? n : KEY_UNKNOWN;
      if (successor.seqOf(fingerprint(n, 0), 0) !== known) t.fail(`at ${at}: key ${n}`);
    }
    batch(successor);
    t.equal(successor.seqOf(fingerprint(22, 9), 0), committed + 3, 'the successor does it again');
    if (!died) break;
  }
  t.ok(writes.count > 40, `${writes.count} writes`);
  t.end();
});

t.test('a reader loses only what is removed meanwhile', (t) => {
  const { window } = made(-8);
  for (let n = 1; n <= CAPACITY; n++) window.add(fingerprint(n, 0), 0, n);
  const into = new Int32Array(4 * DEDUPE_ENTRY_WORDS);
  const reading = window.entriesBefore(15, into);
  const seqs: number[] = [];
  const take = () => {
    const { value, done } = reading.next();
    if (done === true) return false;
    const words = into.slice(0, value * DEDUPE_ENTRY_WORDS);
    for (let e = 0; e < value; e++) seqs.push(new Float64Array(words.buffer)[e * 3 + 2]);
    return true;
  };
  t.ok(take());
  t.same(seqs, [1, 2, 3, 4]);
  for (let n = 17; n <= 22; n++) window.add(fingerprint(n, 0), 0, n);
  while (take());
  t.same(seqs, [1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14], '5 and 6 have made room');
  t.end();
});
