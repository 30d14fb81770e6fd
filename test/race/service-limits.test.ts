/**
 * The limits that are the service's where several threads take events in, each with a producer of its own, over
 * a real log, real appliers and deaths. The stories are those of docs/producers.md.
 *
 * Forbidden: all together above a limit · a refusal below it · a place that a death loses or doubles · an event that
 *            is durable and finds no room · room that nobody can take any more · a fence that lets somebody pass
 *            who had decided before · an import that another one starves
 * (Over 300 lines: each race with its threads, whose set-up they share.)
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { INTAKE_HEAD, INTAKE_TAIL, producersOf, unsettledOf } from '../../src/ring/intake-ring.ts';
import { inFlightOf } from '../../src/write-path/service-limits.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { GATED_LOG, installGates } from '../helpers/threads/log-gates.ts';
import { Pipeline, type PipelineOptions } from '../helpers/threads/pipeline.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import type { Fates, LimitedData, Offered, Question } from './limited-producer.ts';

/** Beside the main thread. */
const FURTHER = 2;
const DEATHS = scaled(8, 200);
const MANY_NAMES = Array.from({ length: 500 }, (_, n) => `single-${n % 70}`);
const WAIT_MS_MAX = 60_000;
const seed = testSeed();

/** A thread with a producer, whichever successor it is. */
class LimitedThread {
  readonly #pipeline: Pipeline;
  readonly #producer: number;
  readonly #script = new Int32Array(new SharedArrayBuffer(4));
  #waiting = new Map<number, PromiseWithResolvers<unknown>>();
  #tickets = 0;
  #worker: Worker;
  #ended: Promise<unknown>;

  constructor(pipeline: Pipeline, producer: number) {
    this.#pipeline = pipeline;
    this.#producer = producer;
    [this.#worker, this.#ended] = this.#start();
  }

  ask<T>(name: Question['name'], ...args: unknown[]): Promise<T> {
    const answer = Promise.withResolvers<unknown>();
    const ticket = this.#tickets++;
    this.#waiting.set(ticket, answer);
    this.#worker.postMessage({ ticket, name, args });
    const bound = bounded(answer.promise, WAIT_MS_MAX, `${name} of ${this.#producer}`);
    // Whoever asks may find out otherwise that it died.
    bound.catch(() => undefined);
    return bound as Promise<T>;
  }

  /** It dies before one of its next operations. */
  dieWithin(operations: number): void {
    Atomics.store(this.#script, 0, operations);
  }

  async died(): Promise<void> {
    await bounded(this.#ended, WAIT_MS_MAX, 'its death');
    Atomics.store(this.#script, 0, 0);
    for (const { reject } of this.#waiting.values()) reject(new Error('dead'));
    this.#waiting = new Map();
  }

  async kill(): Promise<void> {
    await this.#worker.terminate();
    await this.died();
  }

  /** A successor, once what the predecessor had is taken back. */
  async succeed(): Promise<void> {
    [this.#worker, this.#ended] = this.#start();
    const back = this.#pipeline.path.takeBack(this.#producer);
    await bounded(back, WAIT_MS_MAX, 'what it had to be taken back');
    await this.ask('open');
  }

  #start(): [Worker, Promise<unknown>] {
    const options = { ...this.#pipeline.producerOptions, producer: this.#producer };
    const data: LimitedData = { options, script: this.#script };
    const url = new URL('./limited-producer.ts', import.meta.url);
    const worker = new Worker(url, { workerData: data, name: 'producer' });
    worker.on('message', ({ ticket, value, error }) => {
      if (error === undefined) this.#waiting.get(ticket)?.resolve(value);
      else this.#waiting.get(ticket)?.reject(new Error(error));
      this.#waiting.delete(ticket);
    });
    return [worker, once(worker, 'exit')];
  }
}

interface Stage {
  readonly pipeline: Pipeline;
  readonly threads: readonly LimitedThread[];
}

async function start(t: Test, options: Omit<PipelineOptions, 'dataDir'>): Promise<Stage> {
  const producers = 1 + FURTHER;
  const pipeline = await Pipeline.start(t, { dataDir: tempDir(t), producers, ...options });
  const threads = Array.from({ length: FURTHER }, (_, i) => new LimitedThread(pipeline, i + 1));
  t.teardown(() => Promise.all(threads.map((thread) => thread.kill())));
  await Promise.all(threads.map((thread) => thread.ask('open')));
  return { pipeline, threads };
}

function fillAtMain({ path }: Pipeline): Offered {
  for (let queued = 0; ; queued++) {
    const event = { productId: `main-${queued % 50}`, price: 1, stock: 1, occurredAtMs: 5 };
    const answer = path.intake.offer(event, undefined);
    if (answer !== 'queued') return { queued, answer };
  }
}

/** What all producers have in flight. */
function inFlight({ path }: Pipeline): { single: number; batch: number } {
  if (path.memory.together === undefined) throw new Error('one producer');
  return inFlightOf(path.memory.together);
}

function nothingInFlight(pipeline: Pipeline): Promise<boolean> {
  const isSo = () => inFlight(pipeline).single === 0 && inFlight(pipeline).batch === 0;
  return polled(() => (isSo() ? true : undefined), WAIT_MS_MAX, 'nothing to be in flight');
}

/** All producers offer until each is refused; returns what was queued. */
async function fillAll({ pipeline, threads }: Stage): Promise<number> {
  const others = threads.map((thread, i) => thread.ask<Offered>('fill', `filled-${i}`));
  const all = [fillAtMain(pipeline), ...(await Promise.all(others))];
  const odd = all.find(({ answer }) => answer !== 'queue-full');
  if (odd !== undefined) throw new Error(`refused: ${odd.answer}`);
  return all.reduce((sum, { queued }) => sum + queued, 0);
}

t.test('QUEUE_SIZE events of all threads are taken, and one more is not', async (t) => {
  const gates = installGates();
  const queueSize = 300;
  const stage = await start(t, { queueSize, logEntry: GATED_LOG });
  const { pipeline, threads } = stage;
  for (let round = 0; round < 3; round++) {
    gates.flush.close();
    t.equal(await fillAll(stage), queueSize);
    t.equal(inFlight(pipeline).single, queueSize);
    t.equal(await fillAll(stage), 0, 'nothing more until something is settled');
    gates.flush.open();
    await nothingInFlight(pipeline);
  }
  // One dies with all places taken by what it has published: they come back when that is settled.
  gates.flush.close();
  t.equal((await threads[0].ask<Offered>('fill', 'last')).queued, queueSize);
  const { live } = producersOf(pipeline.path.rings)[1];
  const isPublished = () => (unsettledOf(live) === queueSize ? true : undefined);
  await polled(isPublished, WAIT_MS_MAX, 'all to be published');
  await threads[0].kill();
  const back = threads[0].succeed();
  t.equal((await threads[1].ask<Offered>('fill', 'none')).queued, 0, 'in flight as before');
  gates.flush.open();
  await back;
  await nothingInFlight(pipeline);
  gates.flush.close();
  t.equal(await fillAll(stage), queueSize);
  gates.flush.open();
  await nothingInFlight(pipeline);
});

t.test('BATCH_CONCURRENCY batches of all threads are begun, and one more is not', async (t) => {
  const { pipeline, threads } = await start(t, { batchesMax: 5 });
  const beginAll = () => Promise.all(threads.map((thread) => thread.ask<number>('beginAll')));
  const begun = await beginAll();
  t.equal(begun[0] + begun[1], 5);
  t.equal(pipeline.path.bulk.begin(), 'queue-full');
  await threads[0].kill();
  await threads[0].succeed();
  t.equal(await threads[1].ask('beginAll'), begun[0], 'those of the dead one are there again');
  t.equal(await threads[0].ask('beginAll'), 0);
  await threads[1].ask('endAll');
  t.equal(await threads[0].ask('beginAll'), 5);
});

t.test(
  `room goes to as many products as there are places, over deaths (seed ${seed})`,
  async (t) => {
    const random = new Random(seed);
    const { pipeline, threads } = await start(t, { storeBytes: 200_000, queueSize: 64 });
    const { productsMax } = pipeline.producerOptions.store;
    const isKnown = new Set<string>();
    // Half of the products, known ones and repetitions among them, while a thread dies again and again.
    let next = 0;
    for (let death = 0; death < DEATHS; death++) {
      const mortal = threads[death % FURTHER];
      const names = Array.from(
        { length: Math.ceil(productsMax / 2 / DEATHS) },
        () => `p-${next++}`,
      );
      const keys = names.map((name, i) => (i % 2 === 0 ? `key of ${name}` : undefined));
      const shuffled = names.toSorted();
      mortal.dieWithin(random.integer(1, 400));
      const known = [...isKnown].slice(0, 20);
      const others = threads.filter((thread) => thread !== mortal);
      const dying = mortal.ask<Fates>('sendAll', [...names, ...known], keys);
      const living = others.map((thread) =>
        thread.ask<Fates>(
          'sendAll',
          shuffled,
          shuffled.map((name) => keys[names.indexOf(name)]),
        ),
      );
      // It may be through before.
      dying.then(
        () => mortal.kill(),
        () => undefined,
      );
      await mortal.died();
      await Promise.all(living);
      await mortal.succeed();
      for (const name of names) isKnown.add(name);
    }
    await nothingInFlight(pipeline);
    t.equal(pipeline.path.store.size, next, 'each of them once');
    // The rest, all at once: everybody asks for more than there is.
    const rest = productsMax - next;
    const fates = await Promise.all(
      threads.map((thread, i) => {
        const names = Array.from({ length: rest }, (_, n) => `rest-${i}-${n}`);
        return thread.ask<Fates>('sendAll', names, []);
      }),
    );
    const taken = fates.reduce((sum, { durable }) => sum + durable.length, 0);
    t.equal(taken, rest, 'as many as there is room for');
    t.equal(pipeline.path.store.size, productsMax);
    t.same(pipeline.dead, [], 'each that is durable found its place');
    const old = await threads[0].ask<Fates>('sendAll', [...isKnown].slice(0, 50), []);
    t.equal(old.durable.length, 50, 'events of known products need no room');
  },
);

t.test('the fence waits for what every thread has decided', async (t) => {
  const gates = installGates();
  const { pipeline, threads } = await start(t, { logEntry: GATED_LOG });
  const { path } = pipeline;
  const passage = () => {
    const passing = { isThrough: false, through: path.decisionsApplied() };
    const noteIt = () => {
      passing.isThrough = true;
    };
    passing.through.then(noteIt, noteIt);
    return passing;
  };
  /** Long enough for a fence that waits for nothing: its looks are counted in turns and round trips. */
  const meanwhile = async () => {
    for (let n = 0; n < 30; n++) {
      await pipeline.send({ productId: 'meanwhile', price: n, stock: n, occurredAtMs: 5 });
      await threads[1].ask('inFlight');
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  await bounded(passage().through, WAIT_MS_MAX, 'a fence where nobody decides');

  await threads[0].ask('decide');
  const decided = passage();
  await meanwhile();
  t.notOk(decided.isThrough, 'a batch has decided and not queued all');
  await threads[0].ask('decided');
  await bounded(decided.through, WAIT_MS_MAX, 'the fence');

  gates.flush.close();
  t.ok((await threads[0].ask<Offered>('fill', 'queued')).queued > 0);
  const queued = passage();
  for (let n = 0; n < 30; n++) {
    await threads[1].ask('inFlight');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  t.notOk(queued.isThrough, 'what it queued is not settled');
  gates.flush.open();
  await bounded(queued.through, WAIT_MS_MAX, 'the fence');

  await threads[0].ask('decide');
  const dead = passage();
  await threads[0].kill();
  await meanwhile();
  t.notOk(dead.isThrough, 'nobody has said that it is dead');
  await threads[0].succeed();
  await bounded(dead.through, WAIT_MS_MAX, 'the fence');

  await threads[1].ask('drain');
  await bounded(passage().through, WAIT_MS_MAX, 'a fence after one has drained');
});

t.test('imports on two threads share BULK_QUEUE_SIZE, and none waits for the other', async (t) => {
  const bulkQueueSize = 400;
  const { pipeline, threads } = await start(t, { bulkQueueSize, batchesMax: 3 });
  const producers = producersOf(pipeline.path.rings);
  let most = 0;
  const look = () => {
    const sum = (word: number) =>
      producers.reduce((all, { bulk }) => (all + Atomics.load(bulk.cursors, word)) | 0, 0);
    // All heads, then all tails: never more than was in flight between the two.
    const heads = sum(INTAKE_HEAD);
    most = Math.max(most, (heads - sum(INTAKE_TAIL)) | 0);
    looking = setImmediate(look);
  };
  let looking = setImmediate(look);
  await threads[0].ask('importOn');
  const other = producers[1].bulk;
  const headBefore = Atomics.load(other.cursors, INTAKE_HEAD);
  const wentOn = () => Atomics.load(other.cursors, INTAKE_HEAD) !== headBefore;
  const endMs = performance.now() + WAIT_MS_MAX;
  // One that gets no time for a while goes on later.
  for (let n = 0; n < 5 || (!(wentOn() && most > 0) && performance.now() < endMs); n++) {
    const taken = await threads[1].ask('importSome', 'single', 3_000);
    if (taken !== 3_000) t.equal(taken, 3_000);
  }
  t.ok(wentOn(), 'the other one went on meanwhile');
  await threads[0].ask('importNoMore');
  await nothingInFlight(pipeline);
  clearImmediate(looking);
  t.ok(most > 0 && most <= bulkQueueSize, `${most} in flight at the most`);
});

t.test('an import takes no more than its part while another thread waits', async (t) => {
  const bulkQueueSize = 100;
  const { pipeline, threads } = await start(t, { bulkQueueSize, batchesMax: 2 });
  const { bulk } = producersOf(pipeline.path.rings)[1];
  const { cursors } = bulk;
  /** What it is seen to have in flight at the most, until it has taken in so many more and that is `above`. */
  const most = async (events: number, above: number) => {
    const until = (Atomics.load(cursors, INTAKE_HEAD) + events) | 0;
    const endMs = performance.now() + WAIT_MS_MAX;
    let inFlightMost = 0;
    for (let left = events; left > 0 || inFlightMost <= above; ) {
      const head = Atomics.load(cursors, INTAKE_HEAD);
      inFlightMost = Math.max(inFlightMost, (head - Atomics.load(cursors, INTAKE_TAIL)) | 0);
      if (left > 0) left = (until - head) | 0;
      if (performance.now() > endMs) break;
      await new Promise(setImmediate);
    }
    return inFlightMost;
  };
  await threads[0].ask('importOn', Number.MAX_SAFE_INTEGER);
  const alone = await most(20_000, bulkQueueSize / 2);
  t.ok(alone > bulkQueueSize / 2, `${alone} while nobody waits`);
  await threads[1].ask('waitForRoom');
  // What it took before is settled by then.
  await most(1_000, -1);
  const shared = await most(20_000, 0);
  t.ok(shared > 0 && shared <= bulkQueueSize / 2, `${shared} while another one waits`);
  await threads[0].ask('importNoMore');
  await nothingInFlight(pipeline);
});

t.test(`places come back after ${DEATHS} deaths of threads that take in both ways`, async (t) => {
  const random = new Random(seed);
  const queueSize = 100;
  const gates = installGates();
  const stage = await start(t, { queueSize, batchesMax: 2, logEntry: GATED_LOG });
  const { pipeline, threads } = stage;
  for (let death = 0; death < DEATHS; death++) {
    const mortal = threads[death % FURTHER];
    mortal.dieWithin(random.integer(1, 300));
    void mortal.ask('importOn');
    void mortal.ask('sendAll', MANY_NAMES, []);
    await mortal.died();
    await mortal.succeed();
  }
  await nothingInFlight(pipeline);
  gates.flush.close();
  t.equal(await fillAll(stage), queueSize);
  gates.flush.open();
  await nothingInFlight(pipeline);
  t.equal(await threads[0].ask('beginAll'), 2);
  await threads[0].ask('endAll');
  t.equal(await threads[0].ask('importSome', 'after', 1_000), 1_000);
  t.same(pipeline.dead, []);
});
