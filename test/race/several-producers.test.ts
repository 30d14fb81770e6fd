/**
 * Several threads take events in, each through rings of its own, while the log thread dies, one of them
 * dies, or the service stops. The stories are those of docs/producers.md.
 *
 * Allowed:   any order between the events of two threads
 * Forbidden: a thread's event numbered before an earlier one of the same ring · a number given twice, or
 *            never · an event that two threads have under one key, numbered twice · an event that a thread
 *            was told of and that is not in the log, or there under another number
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { tried } from '../helpers/tries.ts';
import { isCommon, nameOf, type PublishingData } from './publishing-thread.ts';

/** Beside the main thread. */
const FURTHER = 2;
/** All of them together are fewer than the log remembers keys of. */
const EVENTS_EACH = scaled(6_000, 20_000);
const STOPS = scaled(2, 20);
/** Of each thread; fewer than the log remembers keys of, and many, so that they are not through. */
const EVENTS_AT_STOP = 20_000;
const DEATHS = scaled(6, 40);
const WAIT_MS_MAX = 120_000;
const seed = testSeed();

/** A thread that publishes, and what it knows, whichever successor it is. */
class Publishing {
  readonly data: PublishingData;
  #worker: Worker;
  #ended: Promise<unknown>;
  /** What one is told of between two steps of a death, nobody has counted. */
  #hasEnded = false;

  constructor(pipeline: Pipeline, producer: number, events = EVENTS_EACH) {
    const { memory } = pipeline.path;
    const rings = memory.further?.[producer - 1];
    if (rings === undefined) throw new Error(`no rings for producer ${producer}`);
    this.data = {
      rings,
      main: memory.intake,
      hashKey: memory.hashKey,
      producer,
      seqs: new Float64Array(new SharedArrayBuffer(8 * events)),
      fates: new Uint8Array(new SharedArrayBuffer(events)),
      counts: new Int32Array(new SharedArrayBuffer(8)),
    };
    [this.#worker, this.#ended] = this.#start();
  }

  /** Events that it was told of. */
  get told(): number {
    return Atomics.load(this.data.counts, 0);
  }

  /** Resolves when it was told of `events` more than now, or of all. */
  async hasMoved(events: number): Promise<void> {
    const { counts, seqs } = this.data;
    const until = Math.min(this.told + events, seqs.length);
    for (let told = this.told; told < until; told = this.told) {
      if (this.#hasEnded) return;
      await Promise.race([Atomics.waitAsync(counts, 0, told).value, this.#ended]);
    }
  }

  /** Kills it, wherever it is, and starts a successor on the same rings. */
  async replace(): Promise<void> {
    await this.#worker.terminate();
    await this.#ended;
    [this.#worker, this.#ended] = this.#start();
  }

  async kill(): Promise<void> {
    await this.#worker.terminate();
    await this.#ended;
  }

  async ended(): Promise<void> {
    await bounded(this.#ended, WAIT_MS_MAX, `producer ${this.data.producer} to end`);
  }

  #start(): [Worker, Promise<unknown>] {
    const url = new URL('./publishing-thread.ts', import.meta.url);
    const worker = new Worker(url, { workerData: this.data, name: 'producer' });
    this.#hasEnded = false;
    const ended = once(worker, 'exit').then(() => {
      this.#hasEnded = true;
    });
    return [worker, ended];
  }
}

/** Waits for a promise that keeps no process alive. */
async function awake<T>(work: Promise<T>): Promise<T> {
  const alive = setInterval(() => undefined, 1000);
  return work.finally(() => clearInterval(alive));
}

interface MainEvent {
  readonly name: string;
  readonly seq: number;
}

/** The main thread takes some in, too, until `isOver`. */
async function produceAtMain(pipeline: Pipeline, isOver: () => boolean): Promise<MainEvent[]> {
  const events: MainEvent[] = [];
  const chain = async (first: number) => {
    for (let n = first; !isOver(); n += 8) {
      const name = `main, event ${n}`;
      const seq = await pipeline.send({ productId: name, price: n, stock: n, occurredAtMs: 5 });
      events.push({ name, seq });
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, i) => chain(i)));
  return events;
}

/** Holds all that was told against the log. `isWhole`: nothing else may be there. */
function check(
  t: Test,
  dataDir: string,
  threads: readonly Publishing[],
  main: readonly MainEvent[],
  isWhole: boolean,
): void {
  const inLog = new Map<string, number>();
  const faults: string[] = [];
  for (const [i, { productId }] of recovered(dataDir).events.entries()) {
    if (inLog.has(productId)) faults.push(`${productId} is in the log twice`);
    inLog.set(productId, i + 1);
  }
  const told = new Map<string, number>();
  const note = (name: string, seq: number) => {
    const before = told.get(name);
    if (before !== undefined && before !== seq) faults.push(`${name}: ${before} and ${seq}`);
    told.set(name, seq);
    if (inLog.get(name) !== seq) faults.push(`${name}: told ${seq}, stored ${inLog.get(name)}`);
  };
  for (const { name, seq } of main) note(name, seq);
  for (const { data } of threads) {
    for (const [n, fate] of data.fates.entries()) {
      if (fate === 0) continue;
      if (fate === 3) faults.push(`${nameOf(data.producer, n)}: a conflict`);
      note(nameOf(data.producer, n), data.seqs[n]);
    }
    if (data.counts[1] > 0) faults.push(`producer ${data.producer}: numbers that went back`);
  }
  t.same(faults.slice(0, 5), [], 'no forbidden outcome');
  if (isWhole) t.equal(inLog.size, told.size, 'every event once, and nothing else');
}

function start(t: Test, dataDir: string): Promise<Pipeline> {
  const firstCursor = 2 ** 31 - Math.floor(EVENTS_EACH / 2);
  return Pipeline.start(t, { dataDir, firstCursor, producers: 1 + FURTHER });
}

function publishAll(t: Test, pipeline: Pipeline, events = EVENTS_EACH): Publishing[] {
  const threads = Array.from(
    { length: FURTHER },
    (_, i) => new Publishing(pipeline, i + 1, events),
  );
  t.teardown(() => Promise.all(threads.map((thread) => thread.kill())));
  return threads;
}

t.test(`the log thread dies between them, up to ${DEATHS} times (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const dataDir = tempDir(t);
  const pipeline = await start(t, dataDir);
  const threads = publishAll(t, pipeline);
  let isOver = false;
  const main = produceAtMain(pipeline, () => isOver);
  let deaths = 0;
  while (deaths < DEATHS && threads[0].told < EVENTS_EACH) {
    await pipeline.threads.killLog();
    deaths++;
    // A thread that dies again and again without getting anywhere is given up, and rightly so: what is told may
    // have been settled before.
    const next = pipeline.path.progress.loadNextSeq();
    await awake(threads[0].hasMoved(random.integer(1, 300)));
    const isFurther = () => pipeline.path.progress.loadNextSeq() > next || undefined;
    await polled(isFurther, WAIT_MS_MAX, 'the log to go on');
  }
  t.comment(`${deaths} deaths`);
  await Promise.all(threads.map((thread) => thread.ended()));
  isOver = true;
  const atMain = await main;
  t.equal(await pipeline.stop(), true, 'it closed cleanly');
  t.same(pipeline.fatal, []);
  for (const { data } of threads) t.notOk(data.fates.includes(0), 'all were told');
  const timesNew = (n: number) => threads.filter(({ data }) => data.fates[n] === 1).length;
  const common = Array.from({ length: EVENTS_EACH }, (_, n) => n).filter(isCommon);
  t.same(common.filter((n) => timesNew(n) > 1).slice(0, 5), [], 'one key is new to one of them');
  check(t, dataDir, threads, atMain, true);
});

t.test(`a producer dies ${DEATHS} times, before and after it published`, async (t) => {
  const random = new Random(seed);
  const dataDir = tempDir(t);
  const pipeline = await start(t, dataDir);
  const threads = publishAll(t, pipeline);
  for (let deaths = 0; deaths < DEATHS; deaths++) {
    await awake(threads[0].hasMoved(random.integer(1, 300)));
    await threads[0].replace();
  }
  await Promise.all(threads.map((thread) => thread.ended()));
  t.equal(await pipeline.stop(), true);
  for (const { data } of threads) t.notOk(data.fates.includes(0), 'all were told');
  check(t, dataDir, threads, [], true);
});

/** A stop in the midst; whether the threads had events left, which a machine that stalls decides. */
async function stopsBetween(t: Test, toldMin: number): Promise<boolean> {
  const dataDir = tempDir(t);
  const pipeline = await start(t, dataDir);
  const threads = publishAll(t, pipeline, EVENTS_AT_STOP);
  const main = produceAtMain(pipeline, () => threads[1].told > toldMin);
  const atMain = await awake(main);
  t.equal(await pipeline.stop(), true, 'it closed cleanly');
  await Promise.all(threads.map((thread) => thread.kill()));
  check(t, dataDir, threads, atMain, false);
  // What was told is there after the next start as well, and goes on from there.
  const last = recovered(dataDir).events.length;
  const again = await Pipeline.start(t, { dataDir });
  const event = { productId: 'next', price: 1, stock: 1, occurredAtMs: 5 };
  t.equal(await again.send(event), last + 1);
  t.equal(await again.stop(), true);
  return threads.some(({ data }) => data.fates.includes(0));
}

for (let round = 0; round < STOPS; round++) {
  t.test(`the service stops while the others still publish, round ${round}`, async (t) => {
    await tried(() => stopsBetween(t, 500 + 100 * round), 'a stop before they were through');
  });
}
