/** Profiles one after the other: what ends one of them ends no other one. */
import { getEventListeners } from 'node:events';
import type { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { ThreadProfiler } from '../../src/profiles/thread-profiler.ts';

const LONG_MS = 60_000;

/** A profiler of one thread, which notes how often its profile was ended. */
function setup() {
  const thread = { ended: 0 };
  const worker = {
    cpuUsage: async () => ({ user: 0, system: 0 }),
    startCpuProfile: async () => ({
      stop: async () => {
        thread.ended++;
        throw new Error('it is left out');
      },
    }),
  };
  const threads = [{ name: 'other', worker: worker as unknown as Worker }];
  return { thread, profiler: new ThreadProfiler(() => threads) };
}

/** An AbortController, and when somebody first waits for it. */
function noticed() {
  const controller = new AbortController();
  const { signal } = controller;
  const awaited = Promise.withResolvers<void>();
  const listen = signal.addEventListener.bind(signal);
  signal.addEventListener = (...args: Parameters<typeof listen>) => {
    listen(...args);
    awaited.resolve();
  };
  return { controller, signal, awaited: awaited.promise };
}

/** Begins a long one, which lasts until `end` is called. */
async function begin(t: Test, profiler: ThreadProfiler) {
  const { controller, signal, awaited } = noticed();
  const taken = profiler.cpu(LONG_MS, signal);
  await awaited;
  return async () => {
    controller.abort();
    t.type(await taken, Uint8Array);
    t.equal(getEventListeners(signal, 'abort').length, 0);
  };
}

t.test('who leaves behind the end of a profile does not end the next one', async (t) => {
  const { thread, profiler } = setup();
  const first = new AbortController();
  t.type(await profiler.cpu(1, first.signal), Uint8Array);
  t.equal(getEventListeners(first.signal, 'abort').length, 0);
  t.equal(thread.ended, 1);
  const end = await begin(t, profiler);
  first.abort();
  await new Promise(setImmediate);
  t.equal(thread.ended, 1, 'it goes on');
  await end();
  t.equal(thread.ended, 2);
});

t.test('who has left already gets what there is', async (t) => {
  const { profiler } = setup();
  t.type(await profiler.cpu(LONG_MS, AbortSignal.abort()), Uint8Array);
});

t.test('the end of all ends the one under way, and those to come', async (t) => {
  const { thread, profiler } = setup();
  await begin(t, profiler);
  profiler.endEarly();
  await new Promise(setImmediate);
  t.equal(thread.ended, 1);
  while ((await profiler.cpu(LONG_MS, new AbortController().signal)) === 'busy')
    await new Promise(setImmediate);
  t.equal(thread.ended, 2);
});
