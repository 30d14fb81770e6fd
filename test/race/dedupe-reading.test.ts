/**
 * The checkpoint reads the dedupe window while the log thread goes on adding to it.
 *
 * Allowed:   a stretch of entries without an end that was asked for · gaps, where the writer went on
 *            by more than the window meanwhile
 * Forbidden: an entry of which a part is another's · seqs that do not rise · seqs not asked for
 *            · a reading that never ends
 */
import { Worker, workerData } from 'node:worker_threads';
import t from 'tap';
import { DEDUPE_ENTRY_WORDS, DedupeWindow } from '../../src/dedupe/dedupe-window.ts';
import { scaled } from '../helpers/threads/race-scale.ts';

const KEY = { k0: 1, k1: 2 };
const READINGS = scaled(300, 5000);
const SLACK = 64;
/** Readings before which the writer had gone on: without them nothing was raced for. */
const CHANGES_MIN = 20;

interface WriterData {
  readonly window: SharedArrayBuffer;
  /** Word 0: 1 = stop. Word 1: entries added, at least. */
  readonly steering: Int32Array;
}

/** Every word tells which entry it is of; the seq does, too, in both of its words. */
function fill(words: Int32Array, n: number): number {
  for (let i = 0; i < 4; i++) words[i] = Math.imul(n, 4) + i;
  return n * 2 ** 20 + (n & 0xfffff);
}

function isWhole(words: Int32Array, n: number, seq: number): boolean {
  const expected = new Int32Array(4);
  return fill(expected, n) === seq && expected.every((word, i) => words[i] === word);
}

function write({ window, steering }: WriterData): void {
  const writer = new DedupeWindow(window, KEY);
  const words = new Int32Array(4);
  for (let n = 1; Atomics.load(steering, 0) === 0; n++) {
    writer.add(words, 0, fill(words, n));
    Atomics.store(steering, 1, n);
    // Now and then it dies in the middle of a batch, and the successor does it again.
    if (n % 1000 === 0) {
      for (let m = 1; m <= SLACK; m++) writer.add(words, 0, fill(words, n + m));
      writer.takeOver(fill(words, n + 1));
    }
  }
}

async function race(): Promise<void> {
  await t.test(`${READINGS} readings`, async (t) => {
    const window = DedupeWindow.create(400, 2 ** 31 - 5000, SLACK);
    const steering = new Int32Array(new SharedArrayBuffer(8));
    const writer = new Worker(new URL(import.meta.url), {
      workerData: { window, steering } satisfies WriterData,
    });
    const ended = new Promise((resolve, reject) => {
      writer.on('exit', resolve);
      writer.on('error', reject);
    });
    const reader = new DedupeWindow(window, KEY);
    const into = new Int32Array(37 * DEDUPE_ENTRY_WORDS);
    const doubles = new Float64Array(into.buffer);
    let forbidden = '';
    let entries = 0;
    let gaps = 0;
    let changes = 0;
    let seen = 0;
    const isOver = (readings: number) =>
      readings >= READINGS && changes >= CHANGES_MIN && entries > READINGS;
    for (let readings = 0; forbidden === '' && !isOver(readings); ) {
      const committed = Atomics.load(steering, 1);
      if (committed === 0) continue;
      readings++;
      if (committed !== seen) changes++;
      seen = committed;
      const before = fill(new Int32Array(4), committed) + 1;
      let last = 0;
      for (const count of reader.entriesBefore(before, into)) {
        for (let i = 0; i < count; i++) {
          const e = i * DEDUPE_ENTRY_WORDS;
          const seq = doubles[(e + 4) / 2];
          const n = into[e] >> 2;
          if (!isWhole(into.subarray(e, e + 4), n, seq)) forbidden = `a mix at seq ${seq}`;
          else if (seq >= before) forbidden = `seq ${seq} is not before ${before}`;
          else if (n <= last) forbidden = `${n} after ${last}`;
          if (last > 0 && n > last + 1) gaps++;
          last = n;
          entries++;
        }
      }
    }
    Atomics.store(steering, 0, 1);
    await ended;
    t.equal(forbidden, '');
    t.comment(`${entries} entries, ${gaps} gaps, ${changes} times the writer had gone on`);
  });
}

if ((workerData as WriterData | null)?.steering !== undefined) write(workerData);
else await race();
