/**
 * Threads raise and lower one tally: they race for the last place, and die at every step of a change while
 * others go on. docs/producers.md has the stories.
 *
 * Allowed:   whoever of several gets the last place
 * Forbidden: two that get it · nobody that gets it · all together above the limit · a place that is lost by a
 *            death, or there twice
 */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { Tallies } from '../../src/threads/tallies.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { scaled } from '../helpers/threads/race-scale.ts';
import { DEAD, DONE, END, EXCESS, HAS, OPS_LEFT, type TallyingData } from './tallying-thread.ts';

const ROUNDS = scaled(5_000, 200_000);
const DEATHS = scaled(300, 20_000);
const LIMIT = 20;
const LOOKS = 2_000;
const NOTES_WORDS = 8;
/** More than the operations of a change, so that a death falls anywhere in one. */
const OPS_MAX = 12;
const WAIT_MS_MAX = 120_000;
const seed = testSeed();

function words(count: number): Int32Array {
  return new Int32Array(new SharedArrayBuffer(4 * count));
}

function dataOf(more: Partial<TallyingData>): TallyingData {
  return {
    tallies: Tallies.create(1, 3),
    thread: 0,
    limit: LIMIT,
    notes: words(NOTES_WORDS),
    meeting: words(2),
    rounds: 0,
    threads: 2,
    winners: words(1),
    ...more,
  };
}

function started(data: TallyingData): { worker: Worker; ended: Promise<unknown> } {
  const url = new URL('./tallying-thread.ts', import.meta.url);
  const worker = new Worker(url, { workerData: data, name: 'tallying' });
  return { worker, ended: once(worker, 'exit') };
}

t.test(`of two that want the last place, one gets it, ${ROUNDS} times`, async (t) => {
  const shared = dataOf({ limit: 1, rounds: ROUNDS, winners: words(ROUNDS) });
  const both = [0, 1].map((thread) => ({ ...shared, thread, notes: words(NOTES_WORDS) }));
  const threads = both.map(started);
  t.teardown(() => Promise.all(threads.map(({ worker }) => worker.terminate())));
  const ends = threads.map(({ ended }) => ended);
  await bounded(Promise.all(ends), WAIT_MS_MAX, 'both to be through');
  const counts = [...shared.winners];
  t.same(
    both.map(({ notes }) => notes[DONE]),
    [ROUNDS, ROUNDS],
    'both were in all rounds',
  );
  t.equal(counts.filter((winners) => winners > 1).length, 0, 'never both');
  t.equal(counts.filter((winners) => winners === 0).length, 0, 'never neither');
  t.equal(new Tallies(shared.tallies, 1, 2).total(0), 0);
});

t.test(`no death loses or doubles a place, ${DEATHS} times (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const mortal = dataOf({ thread: 1 });
  const living = { ...mortal, thread: 0, notes: words(NOTES_WORDS), meeting: mortal.meeting };
  const tallies = new Tallies(mortal.tallies, 1, 2);
  const both = [living, mortal].map(started);
  t.teardown(() => Promise.all(both.map(({ worker }) => worker.terminate())));
  let wrong = 0;
  const done = () => Atomics.load(living.notes, DONE);
  for (let death = 0; death < DEATHS; death++) {
    const doneBefore = done();
    Atomics.store(mortal.notes, OPS_LEFT, random.integer(1, OPS_MAX));
    const isDead = () => (Atomics.load(mortal.notes, DEAD) === 1 ? true : undefined);
    await polled(isDead, WAIT_MS_MAX, 'its death');
    const goesOn = () => done() > doneBefore || undefined;
    await polled(goesOn, WAIT_MS_MAX, 'the other one to go on');
    // Some of what it had stays its own for a while, as slots do that are published.
    let had = mortal.notes[HAS];
    for (const own of [Math.min(random.integer(0, 3), had), 0]) {
      Atomics.sub(mortal.meeting, 1, had - own);
      had = own;
      tallies.inherit(0, 1, own);
      await polled(() => tallies.balance(0), WAIT_MS_MAX, 'a moment without changes');
      if (tallies.own(0, 1) !== own) t.fail(`it has ${tallies.own(0, 1)}, not ${own}`);
    }
    // Nothing is left behind now, whatever the other one is just at.
    for (let look = 0; look < LOOKS; look++) if ((tallies.balance(0) ?? 0) !== 0) wrong++;
    if (death === DEATHS - 1) Atomics.store(mortal.notes, END, 1);
    Atomics.store(mortal.notes, DEAD, 0);
    Atomics.notify(mortal.notes, DEAD);
  }
  Atomics.store(living.notes, END, 1);
  await bounded(Promise.all(both.map(({ ended }) => ended)), WAIT_MS_MAX, 'both to end');
  t.equal(wrong, 0, 'nothing is taken off that no death has left');
  t.equal(living.notes[EXCESS] + mortal.notes[EXCESS], 0, 'never more than the limit');
  t.equal(tallies.total(0), living.notes[HAS], 'what the living one has is all that is had');
  t.equal(tallies.raise(0, 2 * LIMIT, LIMIT), LIMIT - living.notes[HAS], 'the rest is free');
});
