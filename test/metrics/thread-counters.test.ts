/** The counters that threads share: blocks of their own, no torn word, waits that never go back. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import {
  ApplierCounters,
  createThreadCounters,
  LOG_COUNTS,
  LogCounters,
  OUTCOMES_COUNTED,
} from '../../src/metrics/thread-counters.ts';

const ROUNDS_MIN = 20_000;
const CHANGES_MIN = 100;

t.test('each count, bucket and block is a place of its own', (t) => {
  const buffer = createThreadCounters(2);
  const log = new LogCounters(buffer);
  const appliers = [0, 1].map((i) => new ApplierCounters(buffer, i));
  for (const [i, count] of LOG_COUNTS.entries()) log.add(count, i + 1);
  const flushBuckets = log.flushNs.bounds.length + 1;
  const frameBuckets = log.frameEvents.bounds.length + 1;
  for (const bound of [...log.flushNs.bounds, 1e12]) log.flushNs.observe(bound);
  for (const bound of [...log.frameEvents.bounds, 1e6]) log.frameEvents.observe(bound);
  for (const applier of appliers) {
    const counts = Int32Array.from({ length: OUTCOMES_COUNTED }, (_, i) => 10 + i);
    applier.addOutcomes(counts);
    t.strictSame([...counts], new Array(OUTCOMES_COUNTED).fill(0), 'handed over');
  }
  t.strictSame(
    LOG_COUNTS.map((count) => log.of(count)),
    LOG_COUNTS.map((_, i) => i + 1),
  );
  t.strictSame(log.flushNs.counts, new Array(flushBuckets).fill(1));
  t.equal(
    log.flushNs.sum,
    log.flushNs.bounds.reduce((sum, bound) => sum + bound, 1e12),
  );
  t.strictSame(log.frameEvents.counts, new Array(frameBuckets).fill(1));
  t.equal(
    log.frameEvents.sum,
    log.frameEvents.bounds.reduce((sum, bound) => sum + bound, 1e6),
  );
  for (const applier of appliers) {
    for (let i = 0; i < OUTCOMES_COUNTED; i++) t.equal(applier.outcomes(i), 10 + i);
    t.equal(applier.waitedSeconds, 0);
  }
  t.end();
});

t.test('a count goes past 32 bits', (t) => {
  const log = new LogCounters(createThreadCounters(0));
  log.add('writtenBytes', 2 ** 40);
  log.add('writtenBytes', 7);
  t.equal(log.of('writtenBytes'), 2 ** 40 + 7);
  t.end();
});

t.test('a wait under way counts, and one that a dead thread left does not', (t) => {
  const buffer = createThreadCounters(0);
  const log = new LogCounters(buffer);
  log.beginWait();
  const during = log.waitedSeconds;
  t.ok(log.waitedSeconds >= during);
  log.endWait();
  const after = log.waitedSeconds;
  t.ok(after >= during);
  t.equal(log.waitedSeconds, after, 'it works');
  log.beginWait();
  log.takeOver();
  t.equal(new LogCounters(buffer).waitedSeconds, after);
  t.equal(log.waitedSeconds, after);
  t.end();
});

t.test('what is read while the thread begins and ends waits never goes back', async (t) => {
  const buffer = createThreadCounters(0);
  const counters = new LogCounters(buffer);
  const module = new URL('../../src/metrics/thread-counters.ts', import.meta.url).href;
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(
    `const { LogCounters } = await import(${JSON.stringify(module)});
     const { workerData } = await import('node:worker_threads');
     const { buffer, stop } = workerData;
     const log = new LogCounters(buffer);
     log.takeOver();
     while (Atomics.load(stop, 0) === 0) { log.beginWait(); log.endWait(); log.add('segments', 1); }`,
    { eval: true, workerData: { buffer, stop } },
  );
  const { threadId } = worker;
  const exit = once(worker, 'exit');
  let seen = 0;
  let rounds = 0;
  /** Reads before which the thread had gone on. */
  let changes = 0;
  for (let reads = 1; t.passing() && (rounds < ROUNDS_MIN || changes < CHANGES_MIN); reads++) {
    const done = counters.of('segments');
    if (done !== rounds) changes++;
    rounds = done;
    const waited = counters.waitedSeconds;
    if (waited < seen) t.fail(`${waited} s after ${seen} s`);
    seen = waited;
    if (reads % 1000 === 0) await new Promise(setImmediate);
  }
  Atomics.store(stop, 0, 1);
  await exit;
  t.equal(counters.threadId, threadId);
  t.ok(counters.waitedSeconds > 0);
});
