/**
 * The log thread's part when files were deleted (folder-guard.ts): whatever it is doing when it is told,
 * nothing settles from the old segment any more, a fresh one is there, and all goes on once the rest is
 * saved.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { segmentName } from '../../src/log/format.ts';
import { polled } from '../helpers/bounded.ts';
import { recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { GATED_LOG, installGates } from '../helpers/threads/log-gates.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';

const WAIT_MS_MAX = 60_000;

async function started(t: Test) {
  const gates = installGates();
  t.teardown(() => gates.flush.open());
  const dataDir = tempDir(t);
  const pipeline = await Pipeline.start(t, { dataDir, logEntry: GATED_LOG });
  const settled: number[] = [];
  const send = async (price: number) => {
    const seq = await pipeline.send({ productId: 'p', price, stock: 1, occurredAtMs: price });
    settled.push(seq);
    return seq;
  };
  t.equal(await send(1), 1);
  const { guard } = pipeline;
  const { log } = pipeline.path;
  /** Says it, and waits until the log thread has left the old segment. */
  const letsGo = async (lost: number) => {
    log.wake();
    await polled(() => guard.letGo === lost || undefined, WAIT_MS_MAX, 'a fresh segment');
  };
  const save = (lost: number) => {
    guard.save(lost);
    log.wake();
  };
  const segments = () => readdirSync(join(dataDir, 'log')).filter((name) => name.endsWith('.seg'));
  return { gates, dataDir, pipeline, send, settled, guard, letsGo, save, segments };
}

/** It is all on disk, in order. */
async function ends(t: Test, { pipeline, dataDir }: Awaited<ReturnType<typeof started>>) {
  t.equal(await pipeline.stop(), true);
  t.strictSame(
    recovered(dataDir).events.map(({ seq, price }) => [seq, price]),
    [1, 2, 3].map((n) => [n, n]),
  );
}

t.test('while nothing comes', async (t) => {
  const made = await started(t);
  const { guard, send, settled, letsGo, save, segments } = made;
  const lost = guard.lose();
  await letsGo(lost);
  t.strictSame(segments().sort(), [segmentName(1), segmentName(2)]);
  const waiting = [send(2), send(3)];
  // Another loss meanwhile takes the log thread the same way again.
  const again = guard.lose();
  await letsGo(again);
  t.strictSame(settled, [1], 'nothing settles');
  save(again);
  t.strictSame(await Promise.all(waiting), [2, 3]);
  await ends(t, made);
});

t.test('during a flush to the old segment', async (t) => {
  const made = await started(t);
  const { gates, guard, send, settled, letsGo, save } = made;
  gates.flush.close();
  const waiting = [send(2), send(3)];
  await gates.flush.arrival();
  const lost = guard.lose();
  gates.flush.open();
  await letsGo(lost);
  t.strictSame(settled, [1], 'what was flushed there is not acknowledged');
  save(lost);
  t.strictSame(await Promise.all(waiting), [2, 3], 'but written again');
  await ends(t, made);
});

t.test('a log thread that dies meanwhile', async (t) => {
  const made = await started(t);
  const { pipeline, guard, send, letsGo, save } = made;
  const waiting = [send(2), send(3)];
  await Promise.all(waiting);
  const lost = guard.lose();
  await letsGo(lost);
  await pipeline.threads.killLog();
  save(lost);
  await ends(t, made);
});

t.test('told to stop, or never to write again', async (t) => {
  for (const isDenied of [false, true]) {
    const { pipeline, guard, letsGo, segments, settled } = await started(t);
    if (isDenied) guard.deny();
    else await letsGo(guard.lose());
    const before = segments();
    t.equal(await pipeline.stop(), false, 'it does not end as if all were saved');
    t.strictSame(segments(), before);
    t.strictSame(settled, [1]);
  }
});
