/** Entry of the thread of a log in memory; see `memory-log.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { DedupeWindow } from '../../../src/dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../../../src/dedupe/receipt-window.ts';
import { CommitPublisher } from '../../../src/log/commit-publisher.ts';
import { resumeCommitted } from '../../../src/log/take-over.ts';
import { OutcomeWindow } from '../../../src/outcome/outcome-window.ts';
import { Replay } from '../../../src/recovery/replay.ts';
import { CommitRing } from '../../../src/ring/commit-ring.ts';
import { LogProgress } from '../../../src/ring/progress.ts';
import { SLOT_BYTES, SlotViews } from '../../../src/ring/slot.ts';
import { Shard } from '../../../src/store/shard.ts';
import type { SharedMemory } from '../../../src/threads/shared-memory.ts';
import { intakeRingsOf } from '../../../src/write-path/intake-rings.ts';
import type { LogThreadMessage } from '../../../src/write-path/log-messages.ts';
import { MemoryLog, MemoryStream, type StreamMemory } from './memory-log.ts';

const { memory, stream: streamMemory } = workerData as {
  readonly memory: SharedMemory;
  readonly stream: StreamMemory;
};
const stream = new MemoryStream(streamMemory);
const { hashKey } = memory;
const intakes = intakeRingsOf(memory);
const dedupe = new DedupeWindow(memory.dedupe, hashKey);
const receipts = new ReceiptWindow(memory.receipts, hashKey);
const commits = new CommitPublisher(new CommitRing(memory.commit, memory.appliers.length));
const progress = new LogProgress(memory.progress);

function report(message: LogThreadMessage): void {
  parentPort?.postMessage(message);
}

function replay(): void {
  const shards = memory.shards.map((buffer) => new Shard(buffer));
  const outcomes = new OutcomeWindow(memory.outcomes);
  const sink = new Replay(intakes.live, commits, { shards, hashKey, dedupe, receipts, outcomes });
  const slot = new SlotViews(new ArrayBuffer(SLOT_BYTES), 0, 1);
  for (let i = 0; i < stream.count; i++) {
    slot.bytes.set(stream.slots.bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES));
    const place = { firstSeq: i + 1, count: 1, commitTimeMs: stream.times[i] };
    sink.frame(slot, 0, { ...place, bytes: 0, chain: 0, crc: 0, position: 0 }, 1);
  }
  sink.finish();
}

const died = progress.load();
if (died === undefined) replay();
else resumeCommitted({ intakes, dedupe, receipts }, commits, died);
const log = new MemoryLog(
  { stream, intakes, dedupe, receipts, commits, progress, hashKey, nowMs: Date.now },
  died,
);
report({ type: 'serving', nextSeq: log.nextSeq });
report({ type: 'closed', clean: log.run() });
