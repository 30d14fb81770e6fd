/**
 * The three bounds behind which the place of a forgotten product is freed, each held up by what it stands for: it is
 * not freed then, it is once that lets go, and a cleanup without the bound, injected, frees it at once. So none of
 * them can be left out unnoticed.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Cleanup, type CleanupOptions } from '../../src/cleanup/cleanup.ts';
import type { ProductEvent } from '../../src/event/product-event.ts';
import type { Service } from '../../src/service.ts';
import { FreeingBounds } from '../../src/store/freeing-bounds.ts';
import { polled } from '../helpers/bounded.ts';
import { offerAll } from '../helpers/clients/offers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { sqliteRows } from '../helpers/sinks/sqlite-rows.ts';

const WAIT_MS_MAX = 60_000;
const HOUR_MS = 3_600_000;
/** So large that the cleanup begins no rounds by itself. */
const PRODUCTS_MAX = 10_000;

/** What holds nothing up. */
const NO_CHECKPOINTS = { twiceCoveredSeq: Number.POSITIVE_INFINITY, runRound: async () => true };
const NO_SINKS = { flushedSeq: Number.POSITIVE_INFINITY, freeUntil: () => undefined };

function listing(productId: string): ProductEvent {
  return { productId, price: 1, stock: 1, occurredAtMs: undefined };
}

function delisting(productId: string): ProductEvent {
  const none = { price: undefined, stock: undefined, occurredAtMs: undefined };
  return { productId, ...none, isDelete: true };
}

/** A service in which nothing is cleaned up but by the test. */
async function startIdle(t: Test, env: Record<string, string> = {}): Promise<Service> {
  const { service } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    CLEANUP_THRESHOLD: 'off',
    SHARDS: '2',
    BATCH_FLUSH_INTERVAL: '10ms',
    ...env,
  });
  return service;
}

function cleanupOf(service: Service, options: Partial<CleanupOptions>): Cleanup {
  const { path } = service;
  return new Cleanup({
    memory: path.memory,
    commitCursors: path.commits.cursors,
    productsMax: PRODUCTS_MAX,
    bulk: path.bulk,
    limits: { threshold: 0, intervalMs: HOUR_MS, retentionMs: 0 },
    watermark: path.watermark,
    decisionsApplied: () => allApplied(service),
    checkpoints: NO_CHECKPOINTS,
    sinks: NO_SINKS,
    nowMs: () => Date.now() + HOUR_MS,
    logger: pino({ level: 'silent' }),
    ...options,
  });
}

/** A fence that waits for all events to be applied, and for nobody who has decided. */
function allApplied({ path }: Service): Promise<void> {
  const seq = path.progress.loadNextSeq() - 1;
  return new Promise((resolve) => void path.watermark.whenApplied(seq, resolve));
}

/** The note on `p` in a service that has had no more events. */
function noteSeq({ path }: Service): number {
  return path.watermark.seq + 1;
}

/** Whether the place of what was forgotten by the note `seq` may be freed by now. */
function isFreeing({ path }: Service, seq: number): boolean {
  return new FreeingBounds(path.memory.freeing).sweepUntil >= seq;
}

t.test('not before what was decided about room is applied', async (t) => {
  const service = await startIdle(t);
  const { path } = service;
  await offerAll(service, [listing('p'), delisting('p')]);
  const note = noteSeq(service);
  // A batch that has found `p` known, and has queued nothing yet.
  const batch = {};
  path.bulk.admission.deciding.add(batch);
  const asked = Promise.withResolvers<void>();
  const cleanup = cleanupOf(service, {
    decisionsApplied: () => {
      asked.resolve();
      return path.decisionsApplied();
    },
  });
  const round = cleanup.run();
  const first = await Promise.race([asked.promise.then(() => 'asked'), round.then(() => 'over')]);
  t.equal(first, 'asked');
  t.equal(isFreeing(service, note), false);
  path.bulk.admission.deciding.delete(batch);
  await round;
  t.equal(isFreeing(service, note), true);
});

t.test('without the fence it would be', async (t) => {
  const service = await startIdle(t);
  await offerAll(service, [listing('p'), delisting('p')]);
  const note = noteSeq(service);
  service.path.bulk.admission.deciding.add({});
  await cleanupOf(service, {}).run();
  t.equal(isFreeing(service, note), true);
  service.path.bulk.admission.deciding.clear();
});

t.test('not before each part of the checkpoint was written twice since', async (t) => {
  const service = await startIdle(t);
  const { checkpoints } = service;
  await offerAll(service, [listing('p'), delisting('p')]);
  const note = noteSeq(service);
  await checkpoints.runRound(false);
  const cleanup = cleanupOf(service, { checkpoints });
  await cleanup.run();
  t.equal(isFreeing(service, note), false);
  let round = 0;
  const isFreed = async () => {
    // In each shard something that the next part has to have.
    await offerAll(
      service,
      Array.from({ length: 16 }, (_, n) => listing(`filler-${n}`)),
    );
    await checkpoints.runRound(false);
    round++;
    await cleanup.run();
    if (round === 1) t.equal(isFreeing(service, note), false, 'once is not enough');
    return isFreeing(service, note) ? true : undefined;
  };
  await polled(isFreed, WAIT_MS_MAX, 'the place to be free');
});

t.test('without the bound of the checkpoint it would be', async (t) => {
  const service = await startIdle(t);
  await offerAll(service, [listing('p'), delisting('p')]);
  const note = noteSeq(service);
  await service.checkpoints.runRound(false);
  await cleanupOf(service, {}).run();
  t.equal(isFreeing(service, note), true);
});

/** Forgets `p` while the sink has not heard of its delisting; what the sink lists in the end. */
async function forgottenBehindSink(
  t: Test,
  sinksOf: (service: Service) => CleanupOptions['sinks'],
): Promise<{ readonly wasFreeing: boolean; readonly listed: readonly string[] }> {
  const file = join(tempDir(t), 'products.db');
  const service = await startIdle(t, {
    SINKS: `sqlite:${file}`,
    CONNECTION_TIMEOUT: '100ms',
    CIRCUIT_BREAKER_TIMEOUT: '10ms',
    MAX_RETRY_DELAY: '100ms',
  });
  const inSink = () => {
    const seq = service.path.progress.loadNextSeq() - 1;
    const isIn = () => service.sinks.all.every(({ stats }) => stats.get('position') >= seq);
    return polled(() => (isIn() ? true : undefined), WAIT_MS_MAX, `the sink to have seq ${seq}`);
  };
  const failed = () =>
    service.sinks.all.reduce((sum, { stats }) => sum + stats.get('failedRetryable'), 0);
  await offerAll(service, [listing('p'), listing('stays')]);
  await inSink();
  const lock = new DatabaseSync(file, { timeout: 10_000 });
  lock.exec('BEGIN IMMEDIATE');
  await offerAll(service, [delisting('p')]);
  const note = noteSeq(service);
  const cleanup = cleanupOf(service, { sinks: sinksOf(service) });
  await cleanup.run();
  const wasFreeing = isFreeing(service, note);
  if (wasFreeing) {
    const isFreed = () => (service.path.store.size === 1 ? true : undefined);
    await polled(isFreed, WAIT_MS_MAX, 'the place to be free');
    // The write that is under way may have read the product before; the next one has not.
    const before = failed();
    const isAgain = () => (failed() >= before + 2 ? true : undefined);
    await polled(isAgain, WAIT_MS_MAX, 'the sink to try again');
  }
  lock.exec('ROLLBACK');
  lock.close();
  await inSink();
  await cleanup.run();
  t.equal(isFreeing(service, note), true, 'in the end it is freed');
  const listed = sqliteRows(file).filter(({ price }) => price !== null);
  return { wasFreeing, listed: listed.map(({ id }) => id) };
}

t.test('not before all sinks have it: they list nothing that is gone', async (t) => {
  const { wasFreeing, listed } = await forgottenBehindSink(t, ({ sinks }) => sinks);
  t.equal(wasFreeing, false);
  t.strictSame(listed, ['stays']);
});

t.test('without the bound of the sinks one would list it for ever', async (t) => {
  const { wasFreeing, listed } = await forgottenBehindSink(t, () => NO_SINKS);
  t.equal(wasFreeing, true);
  t.strictSame(listed, ['p', 'stays']);
});
