/** The second log, in memory, keeps the contract too; so does another instance's part of it. */
import t from 'tap';
import { resumeCommitted } from '../../../src/log/take-over.ts';
import { INTAKE_HEAD, publishHead } from '../../../src/ring/intake-ring.ts';
import type { Progress } from '../../../src/ring/progress.ts';
import { describeSlot } from '../../../src/ring/slot.ts';
import {
  MemoryHistory,
  MemoryKept,
  MemoryLog,
  MemoryStream,
} from '../../helpers/fakes/memory-log.ts';
import { putEvent } from '../../helpers/models/plain-event.ts';
import { HASH_KEY, LogMemory, type LogUnderTest, logContract, NOW_MS } from './log-contract.ts';

function opened(stream: MemoryStream, memory: LogMemory, died?: Progress) {
  const { intakes, dedupe, receipts, progress } = memory;
  const commits = memory.publisher();
  if (died !== undefined) resumeCommitted(memory, commits, died);
  const joined = { stream, intakes, dedupe, receipts, commits, progress, hashKey: HASH_KEY };
  return {
    log: new MemoryLog({ ...joined, nowMs: () => NOW_MS }, died),
    history: new MemoryHistory(stream),
    kept: new MemoryKept(stream),
  };
}

function memoryLog(stream = new MemoryStream(MemoryStream.create(1024))): LogUnderTest {
  return {
    open: (memory) => opened(stream, memory),
    takeOver: (memory) => opened(stream, memory, memory.progress.load()),
  };
}

logContract('log in memory', () => memoryLog());

t.test('events of another instance come in between, and know no slot', (t) => {
  const stream = new MemoryStream(MemoryStream.create(64));
  const memory = new LogMemory();
  const { log } = opened(stream, memory);
  const event = { seq: 0, price: 1, stock: 2, occurredAtMs: 3 };
  putEvent(stream.foreign.slots, 0, { ...event, productId: 'theirs', key: 'A' }, HASH_KEY);
  publishHead(stream.foreign, 1, memory.intakes.live);
  const { live } = memory.intakes;
  putEvent(live.slots, 0, { ...event, productId: 'ours' }, HASH_KEY);
  putEvent(live.slots, 1, { ...event, productId: 'theirs', key: 'A' }, HASH_KEY);
  publishHead(live, live.cursors[INTAKE_HEAD] + 2, live);
  log.commitPending();
  const { slots } = memory.ring;
  t.match(
    [0, 1].map((i) => describeSlot(slots, i)),
    [
      { seq: 1, productId: 'theirs' },
      { seq: 2, productId: 'ours' },
    ],
  );
  t.equal(log.nextSeq, 3);
  t.equal(describeSlot(live.slots, 1).seq, 1, 'the other instance had it first');
  t.end();
});
