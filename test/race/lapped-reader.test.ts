/**
 * A reader of the commit ring's history that is lapped by the log thread.
 * Allowed: all slots are those of the seqs asked for; or none, where they may be overwritten.
 * Forbidden: a slot of another seq, or one that is part old and part new.
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { EventBatch, SLICE_EVENTS } from '../../src/changes/event-batch.ts';
import { RingHistory } from '../../src/changes/ring-history.ts';
import { COMMIT_CLOSED, CommitRing } from '../../src/ring/commit-ring.ts';
import { LogProgress, PROGRESS_BYTES } from '../../src/ring/progress.ts';
import { SLOT_ID, SLOT_WORDS } from '../../src/ring/slot.ts';
import { Random } from '../helpers/models/random.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import type { LappingLogData } from './lapping-log.ts';

const CAPACITY = 16_384;
const SAFE = CAPACITY - 8192;
const ROUNDS = scaled(20_000, 1_000_000);

t.test('what is copied out is whole and of the seqs asked for', async (t) => {
  const random = new Random();
  t.comment(`seed ${random.seed}`);
  // Just below the wrap of the cursors.
  const ring = CommitRing.create(CAPACITY, 1, 2 ** 31 - 50_000);
  const buffer = new SharedArrayBuffer(PROGRESS_BYTES);
  const progress = new LogProgress(buffer);
  const data: LappingLogData = { commit: ring.buffer, progress: buffer };
  const log = new Worker(new URL('./lapping-log.ts', import.meta.url), {
    workerData: data,
  });
  const ended = once(log, 'exit');
  const history = new RingHistory(ring, progress);
  const batch = new EventBatch();
  while (progress.loadNextSeq() <= CAPACITY) await new Promise(setImmediate);

  let copied = 0;
  let lapped = 0;
  let wrong = '';
  // A log thread that stands still laps nobody: then some more of them.
  const isOver = (round: number) => round >= ROUNDS && copied > 0 && lapped > 0;
  for (let round = 0; !isOver(round) && wrong === ''; round++) {
    const last = progress.loadNextSeq() - 1;
    // Mostly at the edge of what is safe.
    const back = random.chance(0.7) ? SAFE - random.below(600) : random.below(SAFE);
    const from = Math.max(1, last - back);
    const count = history.copy(from, Math.min(last, from + SLICE_EVENTS), batch);
    if (count === 0) lapped++;
    copied += count;
    for (let i = 0; i < count; i++) {
      for (let w = SLOT_ID; w < SLOT_WORDS; w++) {
        const found = batch.slots.words[i * SLOT_WORDS + w];
        if (found !== ((from + i) | 0)) wrong = `seq ${from + i}, word ${w}: ${found}`;
      }
    }
  }
  Atomics.store(ring.cursors, COMMIT_CLOSED, 1);
  await ended;
  t.equal(wrong, '');
  t.comment(`${copied} copied, lapped ${lapped} times`);
});
