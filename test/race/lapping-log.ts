/**
 * A thread that does to the commit ring what the log thread does, as fast as it can: frames of up to
 * the longest length, each slot filled with its seq. Its one applier is always caught up. Tests only.
 */
import { workerData } from 'node:worker_threads';
import { CommitPublisher } from '../../src/log/commit-publisher.ts';
import { FRAME_SLOTS_MAX } from '../../src/log/frame-content.ts';
import { COMMIT_CLOSED, CommitRing, commitCursor } from '../../src/ring/commit-ring.ts';
import { LogProgress, OWN_DOUBLES } from '../../src/ring/progress.ts';
import {
  FLAG_HAS_PRICE,
  KIND_UPSERT,
  packMeta,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_ID,
  SLOT_META,
  SLOT_WORDS,
  SlotViews,
} from '../../src/ring/slot.ts';

export interface LappingLogData {
  readonly commit: SharedArrayBuffer;
  readonly progress: SharedArrayBuffer;
}

const META = packMeta(KIND_UPSERT, FLAG_HAS_PRICE, 64);

function run({ commit, progress: progressBuffer }: LappingLogData): void {
  const ring = new CommitRing(commit, 1);
  const progress = new LogProgress(progressBuffer);
  const commits = new CommitPublisher(ring);
  const frame = new SlotViews(new ArrayBuffer(FRAME_SLOTS_MAX * SLOT_BYTES), 0, FRAME_SLOTS_MAX);
  const own = new Float64Array(OWN_DOUBLES);
  let nextSeq = 1;
  for (let n = 0; Atomics.load(ring.cursors, COMMIT_CLOSED) === 0; n++) {
    const count = n % 2 === 0 ? FRAME_SLOTS_MAX : 1 + (n % 100);
    for (let i = 0; i < count; i++) {
      frame.doubles[i * SLOT_DOUBLES] = nextSeq + i;
      frame.words[i * SLOT_WORDS + SLOT_META] = META;
      frame.words.fill(nextSeq + i, i * SLOT_WORDS + SLOT_ID, (i + 1) * SLOT_WORDS);
    }
    commits.write(frame, FRAME_SLOTS_MAX - 1, 0, count, 0);
    nextSeq += count;
    const commitHead = commits.head;
    const tails = { liveTail: 0, bulkTail: 0 };
    progress.store({ nextSeq, commitHead, ...tails, own });
    commits.publish();
    Atomics.store(ring.cursors, commitCursor(0), commitHead);
  }
}

if (workerData !== null) run(workerData as LappingLogData);
