/** The log thread dies while its disk fails: when the disk is back, all goes on, nothing is lost. */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { readProduct } from '../helpers/models/product-model.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';

const FAULTY_LOG = new URL('./faulty-log.ts', import.meta.url);
const WAIT_MS_MAX = 60_000;

async function outage(t: Test) {
  const faults = new Int32Array(new SharedArrayBuffer(8));
  const dataDir = tempDir(t);
  const pipeline = await Pipeline.start(t, { dataDir, logEntry: FAULTY_LOG, faults });
  const send = (price: number) =>
    pipeline.send({ productId: 'p', price, stock: 1, occurredAtMs: price });
  t.equal(await send(1), 1);
  Atomics.store(faults, 0, 1);
  const waiting = [send(2), send(3)];
  const told = (available: boolean) =>
    polled(
      () => (pipeline.storage.at(-1) === available ? true : undefined),
      WAIT_MS_MAX,
      `the storage to be told ${available ? 'available' : 'unavailable'}`,
    );
  await told(false);
  return { faults, dataDir, pipeline, send, waiting, told };
}

async function goesOn(t: Test, made: Awaited<ReturnType<typeof outage>>): Promise<void> {
  const { pipeline, send, waiting, told, dataDir } = made;
  t.same(await Promise.all(waiting), [2, 3], 'what waited is durable, in order');
  await told(true);
  t.equal(await send(4), 4, 'events are taken again');
  t.same(pipeline.fatal, []);
  t.equal(await pipeline.stop(), true);
  const again = await Pipeline.start(t, { dataDir });
  t.match(readProduct(again.path.store, 'p'), { price: 4, seq: 4 });
  t.equal(await again.stop(), true);
}

t.test('the disk is back before its successor starts', async (t) => {
  const made = await outage(t);
  Atomics.store(made.faults, 0, 0);
  await made.pipeline.threads.killLog();
  await goesOn(t, made);
});

t.test('the disk goes on failing while its successor starts', async (t) => {
  const made = await outage(t);
  const { pipeline, faults } = made;
  await pipeline.threads.killLog();
  // The successor has met the bad disk when the disk refuses it something.
  Atomics.store(faults, 1, 0);
  await polled(
    () => (Atomics.load(faults, 1) > 0 ? true : undefined),
    WAIT_MS_MAX,
    'the successor to meet the disk',
  );
  Atomics.store(faults, 0, 0);
  await goesOn(t, made);
});
