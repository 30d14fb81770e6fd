/** A history that is switched on for a store with products, or was off for longer than the log is kept. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { Cleanup } from '../../src/cleanup/cleanup.ts';
import type { ProductEvent } from '../../src/event/product-event.ts';
import type { Service } from '../../src/service.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { offerAll } from '../helpers/clients/offers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 120_000;
const DAY_MS = 24 * 60 * 60 * 1000;
const START_MS = Date.UTC(2026, 0, 1);
const day = (n: number) => new Date(START_MS + n * DAY_MS).toISOString();
const ENV = {
  SHARDS: '2',
  SEGMENT_SIZE: '1MB',
  CHECKPOINT_EVERY: '1MB',
  LOG_RETENTION: '0MB',
  CLEANUP_THRESHOLD: 'off',
};
/** More than a segment has. */
const FILLER_EVENTS = 10_000;
const FILLER_PRODUCTS = 64;

async function start(t: Test, dataDir: string, history: string) {
  const env = { ...ENV, DATA_DIR: dataDir, HISTORY: history };
  const { service, port, logged } = await startReadyService(t, env);
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const json = async (path: string) => {
    const { seq } = service.path.watermark;
    const mark = path.includes('?') ? '&' : '?';
    const answer = await client.get(`/api/v1/products/${path}${mark}min_seq=${seq}&wait=30s`);
    return JSON.parse(answer.text);
  };
  const prices = async (id: string) => {
    const { entries, whole_from } = await json(`${id}/history`);
    return {
      entries: entries.map(({ at, value }: { at: string; value: number }) => [at, value]),
      whole_from,
    };
  };
  return { service, json, prices, logged };
}

function priced(productId: string, price: number, n: number): ProductEvent {
  return { productId, price, stock: 1, occurredAtMs: START_MS + n * DAY_MS };
}

function delisted(productId: string, n: number): ProductEvent {
  const none = { price: undefined, stock: undefined };
  return { productId, ...none, occurredAtMs: START_MS + n * DAY_MS, isDelete: true };
}

/** Fills the log until what there was has gone. */
async function loseLog(service: Service, dataDir: string): Promise<void> {
  const known = service.path.progress.loadNextSeq() - 1;
  const first = () =>
    Math.min(
      ...readdirSync(join(dataDir, 'log'))
        .filter((name) => name.endsWith('.seg'))
        .map((name) => Number.parseInt(name, 10)),
    );
  const lose = async () => {
    await offerAll(
      service,
      Array.from({ length: FILLER_EVENTS }, (_, n) => ({
        ...priced(`filler-${n % FILLER_PRODUCTS}`, n, 0),
        occurredAtMs: undefined,
      })),
    );
    await service.checkpoints.runRound(false);
    return first() > known ? true : undefined;
  };
  await polled(lose, WAIT_MS_MAX, `the log up to seq ${known} to be gone`);
}

/** Forgets what is delisted and frees the places. */
async function forget(service: Service, places: number): Promise<void> {
  const { path, checkpoints, sinks } = service;
  const size = path.store.size - places;
  const cleanup = new Cleanup({
    memory: path.memory,
    commitCursors: path.commits.cursors,
    productsMax: 1,
    bulk: path.bulk,
    limits: { threshold: 0, intervalMs: DAY_MS, retentionMs: 0 },
    watermark: path.watermark,
    decisionsApplied: () => path.decisionsApplied(),
    checkpoints,
    sinks,
    nowMs: () => Date.now() + DAY_MS,
    logger: pino({ level: 'silent' }),
  });
  const isFreed = async () => {
    await cleanup.run();
    return path.store.size === size ? true : undefined;
  };
  await polled(isFreed, WAIT_MS_MAX, 'the places to be free');
}

t.test('switched on while the log has everything, it has everything', async (t) => {
  const dataDir = tempDir(t);
  const off = await start(t, dataDir, 'off');
  await offerAll(off.service, [priced('a', 100, 0), priced('a', 80, 60), priced('a', 90, 50)]);
  await off.service.stop();
  const { json, prices } = await start(t, dataDir, 'forever');
  t.strictSame(await prices('a'), {
    entries: [
      [day(0), 100],
      [day(50), 90],
      [day(60), 80],
    ],
    whole_from: null,
  });
  t.match(await json('a/prior-price'), { prior_price: 90, complete: true });
});

t.test('switched on when the log does not go back, it begins with what there is', async (t) => {
  const dataDir = tempDir(t);
  const off = await start(t, dataDir, 'off');
  await offerAll(off.service, [priced('a', 100, 0), priced('a', 80, 60), priced('b', 5, 0)]);
  await loseLog(off.service, dataDir);
  await off.service.stop();
  const { service, json, prices } = await start(t, dataDir, 'forever');
  t.strictSame(await prices('a'), { entries: [[day(60), 80]], whole_from: day(60) });
  t.match(await json('a/prior-price'), { price: 80, reduced: false, complete: false });
  t.match(await json(`a?at=${day(61)}`), { price: 80, complete: true });
  await offerAll(service, [priced('a', 70, 100), priced('new', 9, 100)]);
  t.match(await json('a/prior-price'), { prior_price: 80, complete: true }, 'whole all through');
  t.match(await prices('new'), { whole_from: null }, 'nothing was ever forgotten');
});

t.test(
  'off for long: nothing is hidden, nothing invented, and it says what is missing',
  async (t) => {
    const dataDir = tempDir(t);
    const beganMs = Date.now();
    const before = await start(t, dataDir, 'forever');
    const ids = ['same', 'dearer', 'cheaper', 'delisted', 'forgotten', 'back'];
    await offerAll(
      before.service,
      ids.map((id) => priced(id, 100, 0)),
    );
    t.match(await before.prices('back'), { entries: [[day(0), 100]], whole_from: null });
    await before.service.stop();

    const off = await start(t, dataDir, 'off');
    await offerAll(off.service, [
      priced('dearer', 120, 50),
      priced('cheaper', 150, 50),
      priced('cheaper', 80, 60),
      delisted('forgotten', 40),
      delisted('back', 40),
      // It is not listed in the end either, but remembered.
      delisted('delisted', 45),
      // It came and went without the history's having heard of it.
      priced('passing', 100, 10),
      delisted('passing', 20),
    ]);
    await off.service.checkpoints.runRound(false);
    // All that is delisted by now; what is to be remembered is delisted again.
    await forget(off.service, 4);
    await offerAll(off.service, [
      priced('back', 90, 55),
      priced('delisted', 100, 41),
      delisted('delisted', 45),
    ]);
    await loseLog(off.service, dataDir);
    await off.service.stop();

    const { service, json, prices, logged } = await start(t, dataDir, 'forever');
    t.match(await prices('same'), { entries: [[day(0), 100]], whole_from: day(0) });
    t.match(await prices('dearer'), {
      entries: [
        [day(0), 100],
        [day(50), 120],
      ],
      whole_from: day(50),
    });
    t.match(await json(`dearer?at=${day(45)}`), { price: 100, complete: false });
    t.match(await json(`dearer?at=${day(55)}`), { price: 120, complete: true });
    t.match(await json('dearer/prior-price'), { reduced: false, complete: false });
    t.match(
      await json('cheaper/prior-price'),
      { price: 80, reduced: true, complete: false },
      'the 150 in between is lost, and that is said',
    );
    t.match(await prices('delisted'), {
      entries: [
        [day(0), 100],
        [day(45), null],
      ],
      whole_from: day(45),
    });
    const { entries, whole_from } = await prices('forgotten');
    t.match(entries, [
      [day(0), 100],
      [whole_from, null],
    ]);
    t.ok(Date.parse(whole_from) >= beganMs, 'since when, nobody knows');
    t.match((await json(`forgotten?at=${day(45)}`)).complete, false);
    t.match(await prices('back'), {
      entries: [
        [day(0), 100],
        [day(55), 90],
      ],
      whole_from: day(55),
    });
    await offerAll(service, [{ ...priced('passing', 70, 0), occurredAtMs: undefined }]);
    t.match(
      await json('passing/prior-price'),
      { complete: false },
      'it may have been there before',
    );
    t.match(
      logged.map(({ msg }) => msg).filter((msg) => msg.includes('there is a gap')),
      [/does not reach back to seq 7/],
    );
  },
);
