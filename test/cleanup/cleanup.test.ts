/**
 * A catalogue that churns through a store which is smaller than what comes and goes; the whole service.
 * (Over 300 lines: each case needs a whole service, and a catalogue that fills its store.)
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Cleanup, NOTES_MAX } from '../../src/cleanup/cleanup.ts';
import type { ProductEvent } from '../../src/event/product-event.ts';
import type { Service } from '../../src/service.ts';
import { polled } from '../helpers/bounded.ts';
import { ChangeFollower } from '../helpers/clients/change-follower.ts';
import { offerAll } from '../helpers/clients/offers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { readProduct } from '../helpers/models/product-model.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { sqliteRows } from '../helpers/sinks/sqlite-rows.ts';
import { storeRows } from '../sinks/store-rows.ts';

const WAIT_MS_MAX = 60_000;
const CHURN = {
  MAX_MEMORY_USAGE: '512KB',
  SHARDS: '2',
  CLEANUP_THRESHOLD: '0.5',
  GC_INTERVAL: '100ms',
  TOMBSTONE_RETENTION: '1ms',
  BATCH_FLUSH_INTERVAL: '10ms',
};
const WAVE = 300;
/** Products that are there all the time. */
const STAYING = 200;
const HOUR_MS = 3_600_000;

function insertion(name: string, n: number): ProductEvent {
  return { productId: `${name}-${n}`, price: n, stock: 1, occurredAtMs: undefined };
}

function removal(name: string, n: number): ProductEvent {
  const none = { price: undefined, stock: undefined, occurredAtMs: undefined };
  return { productId: `${name}-${n}`, ...none, isDelete: true };
}

function several<T>(from: number, count: number, of: (n: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => of(from + i));
}

function listedIn(service: Service) {
  const listed = storeRows(service.path.memory).filter((row) => (row.price ?? row.stock) !== null);
  return new Map(listed.map((row) => [row.id, row]));
}

/** Waits for all that was applied to be in all sinks. */
async function inSinks(service: Service): Promise<void> {
  const seq = service.path.progress.loadNextSeq() - 1;
  const isIn = () =>
    service.sinks.all.every(({ stats }) => stats.get('position') >= seq) ? true : undefined;
  await polled(isIn, WAIT_MS_MAX, `the sink to have seq ${seq}`);
}

/** New products in waves, each delisted when the next has come; one that finds no room is sent again. */
async function churn(service: Service, from: number, count: number): Promise<void> {
  for (let came = from; came < from + count; came += WAVE) {
    let events: readonly ProductEvent[] = several(came, WAVE, (n) => insertion('came', n));
    const send = async () => {
      events = (await offerAll(service, events)).refused;
      return events.length === 0 ? true : undefined;
    };
    await polled(send, WAIT_MS_MAX, `room for ${events.length} products`);
    if (came > from)
      await offerAll(
        service,
        several(came - WAVE, WAVE, (n) => removal('came', n)),
      );
  }
}

/** What the sink lists otherwise than the store; `undefined` = nothing. */
function faultIn(path: string, service: Service): object | undefined {
  const listed = listedIn(service);
  let rows = 0;
  for (const row of sqliteRows(path)) {
    const there = listed.get(row.id);
    if (row.price !== (there?.price ?? null) || row.stock !== (there?.stock ?? null)) {
      return { row, there };
    }
    if (there !== undefined) rows++;
  }
  return rows === listed.size ? undefined : { rows, listed: listed.size };
}

/** A comparison that was ordered while the sink was reached again may be still to come. */
async function assertSink(t: Test, path: string, service: Service): Promise<void> {
  const isRight = () => (faultIn(path, service) === undefined ? true : undefined);
  await polled(isRight, WAIT_MS_MAX, 'the sink to list what is there').catch(() => undefined);
  t.strictSame(faultIn(path, service), undefined, 'the sink lists what is there');
}

t.test('a catalogue churns for ever; sink, followers and starts see what is there', async (t) => {
  const dataDir = tempDir(t);
  const path = join(tempDir(t), 'products.db');
  const env = { DATA_DIR: dataDir, SINKS: `sqlite:${path}`, ...CHURN };
  const { service, port, logged } = await startReadyService(t, env);
  const line = logged.find((entry) => 'productsMax' in entry) as unknown as { productsMax: number };
  const { productsMax } = line;
  await offerAll(
    service,
    several(0, STAYING, (n) => insertion('stays', n)),
  );
  const comes = 3 * Math.ceil(productsMax / WAVE) * WAVE;
  await churn(service, 0, comes);
  t.ok(service.path.store.size <= productsMax, `${service.path.store.size} of ${productsMax}`);
  const present = listedIn(service);
  for (let n = 0; n < STAYING; n++) t.equal(present.get(`stays-${n}`)?.price, n);
  t.equal(readProduct(service.path.store, 'came-0'), 'missing');
  await inSinks(service);
  await assertSink(t, path, service);

  const follower = new ChangeFollower({ port, lastEventId: 0 });
  await follower.connect();
  const goal = service.path.watermark.seq;
  await polled(
    () =>
      (follower.lastEventId ?? 0) >= goal || follower.last.size >= STAYING + comes
        ? true
        : undefined,
    WAIT_MS_MAX,
    'the follower to catch up',
  );
  t.equal(follower.last.size, STAYING + comes, 'a follower from the beginning meets all');
  const wrong = [...follower.last.values()].find(
    (change) => change.deleted === present.has(change.product_id),
  );
  t.equal(wrong, undefined, "and knows which are delisted, though their places are others' now");
  follower.disconnect();

  t.equal(await service.stop(), true);
  const again = (await startReadyService(t, env)).service;
  t.strictSame(listedIn(again), present, 'a start finds what there was');
  await churn(again, comes, 2 * WAVE);
  await inSinks(again);
  await assertSink(t, path, again);
  await again.stop();

  const away = (await startReadyService(t, { DATA_DIR: dataDir, ...CHURN })).service;
  await offerAll(
    away,
    several(comes + WAVE, WAVE, (n) => removal('came', n)),
  );
  await churn(away, comes + 2 * WAVE, comes);
  await away.stop();
  const back = await startReadyService(t, env);
  await inSinks(back.service);
  await assertSink(t, path, back.service);
  const said = () =>
    back.logged.map(({ msg }) => msg).filter((msg) => /rows are of products/.test(msg));
  await polled(() => said()[0], WAIT_MS_MAX, 'the comparison to be told');
  t.match(said()[0], /compared: [1-9]\d* rows are of products that are gone/);
});

t.test(
  'a sink that is down holds places for SINK_HOLD, and is compared when it is back',
  async (t) => {
    const path = join(tempDir(t), 'products.db');
    const env = {
      DATA_DIR: tempDir(t),
      SINKS: `sqlite:${path}`,
      ...CHURN,
      SINK_HOLD: '100ms',
      CONNECTION_TIMEOUT: '100ms',
      CIRCUIT_BREAKER_TIMEOUT: '10ms',
      MAX_RETRY_DELAY: '100ms',
    };
    const { service, logged } = await startReadyService(t, env);
    const line = logged.find((entry) => 'productsMax' in entry) as unknown as {
      productsMax: number;
    };
    const { productsMax } = line;
    await offerAll(
      service,
      several(0, STAYING, (n) => insertion('stays', n)),
    );
    await churn(service, 0, WAVE);
    await inSinks(service);
    const lock = new DatabaseSync(path, { timeout: 10_000 });
    lock.exec('BEGIN IMMEDIATE');
    // More than there is room for, so that it ends only if places are freed without the sink.
    await churn(service, WAVE, 3 * Math.ceil(productsMax / WAVE) * WAVE);
    await offerAll(
      service,
      several(0, WAVE, (n) => removal('came', n)),
    );
    const without = () => logged.filter(({ msg }) => msg.includes('are forgotten without it'));
    t.equal(without().length, 1, 'it is said, once');
    const isListed = ({ id, price }: { id: string; price: number | null }) =>
      id === 'came-0' && price !== null;
    t.ok(sqliteRows(path).some(isListed), 'the sink lists what is gone');
    lock.exec('ROLLBACK');
    lock.close();
    await polled(
      () => (logged.some(({ msg }) => msg.includes('rows are of products')) ? true : undefined),
      WAIT_MS_MAX,
      'the comparison',
    );
    await inSinks(service);
    await assertSink(t, path, service);
  },
);

t.test('a first cleanup of a full store is queued in portions', async (t) => {
  const { service } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    ...CHURN,
    MAX_MEMORY_USAGE: '4MB',
    CLEANUP_THRESHOLD: 'off',
  });
  const { path, checkpoints, sinks } = service;
  const gone = 6 * NOTES_MAX;
  await offerAll(
    service,
    several(0, gone, (n) => insertion('came', n)),
  );
  await offerAll(
    service,
    several(0, gone, (n) => removal('came', n)),
  );
  const { bulk } = path;
  let notes = 0;
  let most = 0;
  const cleanup = new Cleanup({
    memory: path.memory,
    commitCursors: path.commits.cursors,
    productsMax: gone,
    bulk: {
      get isOpen() {
        return bulk.isOpen;
      },
      room: () => bulk.room(),
      publish: () => bulk.publish(),
      whenRoom: (...args) => bulk.whenRoom(...args),
      whenSettled: (batch) => bulk.whenSettled(batch),
      claimReceipt: (batch, write) => {
        bulk.claimReceipt(batch, write);
        notes++;
        most = Math.max(most, batch.receiptsInFlight);
      },
    },
    limits: { threshold: 0, intervalMs: HOUR_MS, retentionMs: 0 },
    watermark: path.watermark,
    decisionsApplied: () => path.decisionsApplied(),
    // So that nothing but the notes is queued.
    checkpoints: { twiceCoveredSeq: Number.POSITIVE_INFINITY, runRound: async () => true },
    sinks,
    nowMs: () => Date.now() + HOUR_MS,
    logger: pino({ level: 'silent' }),
  });
  await cleanup.run();
  t.equal(notes, gone);
  t.ok(most <= NOTES_MAX, `${most} notes under way at a time`);
  t.equal(await checkpoints.runRound(false), true);
});

t.test(
  'an older event than the delisting is stale until that is forgotten, and new then',
  async (t) => {
    const env = { DATA_DIR: tempDir(t), ...CHURN, CLEANUP_THRESHOLD: 'off' };
    const { service } = await startReadyService(t, env);
    const { path, checkpoints, sinks } = service;
    const cleanup = (afterMs: number) =>
      new Cleanup({
        memory: path.memory,
        commitCursors: path.commits.cursors,
        productsMax: 1,
        bulk: path.bulk,
        limits: { threshold: 0, intervalMs: HOUR_MS, retentionMs: HOUR_MS },
        watermark: path.watermark,
        decisionsApplied: () => path.decisionsApplied(),
        checkpoints,
        sinks,
        nowMs: () => Date.now() + afterMs,
        logger: pino({ level: 'silent' }),
      });
    const at = (occurredAtMs: number) => ({ ...insertion('p', 1), occurredAtMs });
    const read = () => readProduct(path.store, 'p-1');
    await offerAll(service, [
      at(2000),
      { ...removal('p', 1), occurredAtMs: 3000 },
      insertion('q', 1),
    ]);
    await cleanup(HOUR_MS / 2).run();
    await offerAll(service, [at(1000)]);
    t.match(read(), { seq: 2, price: Number.NaN, priceAtMs: 3000 }, 'stale');
    await cleanup(2 * HOUR_MS).run();
    await polled(
      () => (path.store.size === 1 ? true : undefined),
      WAIT_MS_MAX,
      'the place to be free',
    );
    t.equal(read(), 'missing');
    t.match(readProduct(path.store, 'q-1'), { price: 1 }, 'what is listed stays');
    await offerAll(service, [at(1000)]);
    t.match(read(), { price: 1, priceAtMs: 1000 }, 'as of a product that never was');
  },
);
