/**
 * A thread that raises and lowers a tally, and notes outside of it what it has. Tests only.
 *
 *   words of `notes`:  0 rounds or changes done · 1 what it has · 2 Atomics operations left before it dies; 0 = lives
 *                      3 = 1 ends it · 4 times that all together had more than the limit
 *                      5 = 1 once it is dead; whoever has inherited from it sets 0, and a successor begins
 *   words of `meeting` (all threads): 0 arrivals · 1 what all have, added up by each thread itself
 */
import { workerData } from 'node:worker_threads';
import { Tallies } from '../../src/threads/tallies.ts';

export const DONE = 0;
export const HAS = 1;
export const OPS_LEFT = 2;
export const END = 3;
export const EXCESS = 4;
export const DEAD = 5;
const ARRIVALS = 0;
const ALL_HAVE = 1;

export interface TallyingData {
  readonly tallies: SharedArrayBuffer;
  readonly thread: number;
  readonly limit: number;
  readonly notes: Int32Array;
  /** Where all wait for each other before each round; a thread that changes as it likes has none. */
  readonly meeting: Int32Array;
  /** Rounds of the race for the last place; 0 = it changes the tally until it is ended or dies. */
  readonly rounds: number;
  readonly threads: number;
  /** Word of each round: how many got a place. */
  readonly winners: Int32Array;
}

const { add, load, notify, store, sub, wait } = Atomics;

class Death extends Error {}

/** Every operation on memory that others see may be the last one before a death. */
function mayDie(notes: Int32Array): void {
  type Words = Int32Array<ArrayBuffer>;
  const step = () => {
    if (load(notes, OPS_LEFT) > 0 && sub(notes, OPS_LEFT, 1) === 1) throw new Death();
  };
  const { compareExchange } = Atomics;
  Atomics.store = ((words: Words, at: number, value: number) => {
    step();
    return store(words, at, value);
  }) as typeof Atomics.store;
  Atomics.sub = ((words: Words, at: number, value: number) => {
    step();
    return sub(words, at, value);
  }) as typeof Atomics.sub;
  Atomics.compareExchange = ((words: Words, at: number, expected: number, value: number) => {
    step();
    return compareExchange(words, at, expected, value);
  }) as typeof Atomics.compareExchange;
}

/** Looks for the others before it sleeps: where each has a core, they come within as many. */
const LOOKS = 1_000;

/** All come to round `round` before any goes on. */
function meet({ meeting, threads }: TallyingData, round: number): void {
  const all = round * threads;
  add(meeting, ARRIVALS, 1);
  notify(meeting, ARRIVALS);
  let arrivals = load(meeting, ARRIVALS);
  for (let looks = 0; arrivals < all; looks++) {
    if (looks >= LOOKS) wait(meeting, ARRIVALS, arrivals);
    arrivals = load(meeting, ARRIVALS);
  }
}

/** One place, and all want it: in each round one gets it, who gives it back before the next one. */
function race(data: TallyingData): void {
  const { thread, rounds, winners, limit, notes } = data;
  const tallies = new Tallies(data.tallies, 1, thread);
  for (let round = 0; round < rounds; round++) {
    meet(data, 2 * round + 1);
    const got = tallies.raise(0, 1, limit);
    if (got === 1) add(winners, round, 1);
    meet(data, 2 * round + 2);
    if (got === 1) tallies.lower(0, 1);
    add(notes, DONE, 1);
  }
}

/** Life after life, until it is ended: what one knew beside the memory, its successor does not. */
function live(data: TallyingData): void {
  const { notes } = data;
  mayDie(notes);
  while (load(notes, END) === 0) {
    try {
      change(data);
    } catch (error) {
      if (!(error instanceof Death)) throw error;
      store(notes, DEAD, 1);
      notify(notes, DEAD);
      wait(notes, DEAD, 1);
    }
  }
}

/** Takes a few and gives some back, until it is ended or dies. */
function change({ tallies: buffer, thread, limit, notes, meeting }: TallyingData): void {
  const tallies = new Tallies(buffer, 1, thread);
  let has = 0;
  store(notes, HAS, has);
  for (let n = 0; load(notes, END) === 0; n++) {
    if (n % 3 !== 2 || has === 0) {
      const got = tallies.raise(0, 1 + (n % 5), limit);
      // Noted after it has them, and before it gives them back: so all together never note too many.
      if (add(meeting, ALL_HAVE, got) + got > limit) add(notes, EXCESS, 1);
      has += got;
      store(notes, HAS, has);
    } else {
      const gives = 1 + (n % has);
      has -= gives;
      store(notes, HAS, has);
      sub(meeting, ALL_HAVE, gives);
      tallies.lower(0, gives);
    }
    add(notes, DONE, 1);
  }
}

const data = workerData as TallyingData | null;
if (data?.winners !== undefined) {
  if (data.rounds > 0) race(data);
  else live(data);
}
