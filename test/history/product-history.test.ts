/** The history's threads: what is said while one of them is down. */
import { once } from 'node:events';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import t from 'tap';
import { HistoryUnavailableError, ProductHistory } from '../../src/history/product-history.ts';
import { FolderGuard } from '../../src/log/folder-guard.ts';
import { LogHolds } from '../../src/log/log-holds.ts';
import { LogProgress, OWN_DOUBLES } from '../../src/ring/progress.ts';
import { planStore } from '../../src/store/sizing.ts';
import { createSharedMemory } from '../../src/write-path/memory.ts';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const WAIT_MS_MAX = 120_000;

t.test('while its reading thread is down, a question is refused', async (t) => {
  const folder = tempDir(t);
  const memory = createSharedMemory({ queueSize: 1, appliers: 1, store: planStore(4096, 1) });
  const own = new Float64Array(OWN_DOUBLES);
  new LogProgress(memory.progress).store({
    nextSeq: 1,
    commitHead: 0,
    liveTail: 0,
    bulkTail: 0,
    own,
  });
  const readers: Worker[] = [];
  const note = (worker: Worker) => {
    if (worker.threadName === 'history-reader') readers.push(worker);
  };
  process.on('worker', note);
  t.teardown(() => process.off('worker', note));
  const history = new ProductHistory({
    memory,
    target: () => ({ kind: 'file', path: join(folder, 'history.db') }),
    freedUntil: () => 0,
    logFolder: folder,
    held: { root: folder, log: folder, checkpoint: folder, guard: FolderGuard.create() },
    holds: new LogHolds(LogHolds.create()),
    outcomeEvents: 1,
    keepMs: undefined,
    logger: pino({ level: 'silent' }),
  });
  const ask = () => history.ask({ kind: 'state', id: 'a', atMs: 0 });
  await t.rejects(ask(), HistoryUnavailableError, 'before it is started');
  history.start();
  t.teardown(() => history.stop(WAIT_MS_MAX));
  const answered = () =>
    polled(() => ask().catch(() => undefined), WAIT_MS_MAX, 'an answer of the history');
  await answered();
  const exited = once(readers[0], 'exit');
  void readers[0].terminate();
  await exited;
  await t.rejects(ask(), HistoryUnavailableError, 'its successor is started later');
  await answered();
  t.equal(readers.length, 2);
});
