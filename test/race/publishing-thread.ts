/**
 * A thread that takes events in beside the main thread, as little of one as there can be: it fills its two
 * rings, publishes a few slots at a time, and notes what it is told of each event. Tests only.
 *
 * All events have keys. Every fourth is one that each of these threads has, under the same key; the rest
 * are its own. A successor of a thread that was killed sends all again that nobody was told of.
 */
import { workerData } from 'node:worker_threads';
import {
  INTAKE_BELL_BACK,
  INTAKE_HEAD,
  INTAKE_TAIL,
  IntakeRing,
  publishHead,
} from '../../src/ring/intake-ring.ts';
import {
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../../src/ring/slot.ts';
import type { HashKey, ProducerMemory } from '../../src/threads/shared-memory.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';

export interface PublishingData {
  readonly rings: ProducerMemory;
  /** The main thread's live ring, which has the doorbell. */
  readonly main: SharedArrayBuffer;
  readonly hashKey: HashKey;
  /** Which of these threads it is, from 1. */
  readonly producer: number;
  /** The seq that it was told of its event n; 0 = none yet. */
  readonly seqs: Float64Array;
  /** 1 = told as new, 2 = told as a repetition. */
  readonly fates: Uint8Array;
  /** Word 0: events that it was told of. Word 1: events that were numbered otherwise than they stood. */
  readonly counts: Int32Array;
}

/** Slots published at a time, at the most. */
const RUN_MAX = 7;
const COMMON_EVERY = 4;

export function isCommon(n: number): boolean {
  return n % COMMON_EVERY === 0;
}

/** What names the event for all that is found of it. */
export function nameOf(producer: number, n: number): string {
  return isCommon(n) ? `common ${n}` : `producer ${producer}, event ${n}`;
}

function eventOf(producer: number, n: number): PlainEvent {
  const name = nameOf(producer, n);
  return { seq: 0, productId: name, price: n, stock: n, occurredAtMs: 5, key: name };
}

/** The thread's end of one ring. */
class Door {
  readonly ring: IntakeRing;
  /** The events in the slots from `#settled` on; none of those that a predecessor queued. */
  readonly #queued: (number | undefined)[] = [];
  readonly #data: PublishingData;
  #claimed: number;
  #settled: number;
  #lastSeq = 0;

  constructor(buffer: SharedArrayBuffer, data: PublishingData) {
    this.ring = new IntakeRing(buffer);
    this.#data = data;
    this.#claimed = Atomics.load(this.ring.cursors, INTAKE_HEAD);
    this.#settled = Atomics.load(this.ring.cursors, INTAKE_TAIL);
    const left = (this.#claimed - this.#settled) | 0;
    for (let i = 0; i < left; i++) this.#queued.push(undefined);
  }

  get isEmpty(): boolean {
    return this.#queued.length === 0;
  }

  get hasRoom(): boolean {
    return this.#queued.length < this.ring.capacity;
  }

  claim(n: number): void {
    const { producer, hashKey } = this.#data;
    putEvent(this.ring.slots, this.#claimed & this.ring.mask, eventOf(producer, n), hashKey);
    this.#queued.push(n);
    this.#claimed = (this.#claimed + 1) | 0;
  }

  publish(main: IntakeRing): void {
    publishHead(this.ring, this.#claimed, main);
  }

  /** Blocks until the log thread has settled something. */
  wait(): void {
    const { cursors } = this.ring;
    const rung = Atomics.load(cursors, INTAKE_BELL_BACK);
    if (Atomics.load(cursors, INTAKE_TAIL) === this.#settled) {
      Atomics.wait(cursors, INTAKE_BELL_BACK, rung);
    }
    this.settle();
  }

  settle(): void {
    const { seqs, fates, counts } = this.#data;
    const { cursors, slots, mask } = this.ring;
    const tail = Atomics.load(cursors, INTAKE_TAIL);
    for (; this.#settled !== tail; this.#settled = (this.#settled + 1) | 0) {
      const n = this.#queued.shift();
      if (n === undefined) continue;
      const index = this.#settled & mask;
      const seq = slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ];
      const meta = slots.words[index * SLOT_WORDS + SLOT_META];
      const isNew = (meta & (FLAG_DUPLICATE | FLAG_CONFLICT)) === 0;
      if (isNew && seq <= this.#lastSeq) Atomics.add(counts, 1, 1);
      if (isNew) this.#lastSeq = seq;
      seqs[n] = seq;
      // A conflict is none of the two, and fails the test.
      fates[n] = isNew ? 1 : (meta & FLAG_CONFLICT) === 0 ? 2 : 3;
      Atomics.add(counts, 0, 1);
      Atomics.notify(counts, 0);
    }
  }
}

function run(data: PublishingData): void {
  const main = new IntakeRing(data.main);
  const live = new Door(data.rings.intake, data);
  const bulk = new Door(data.rings.bulk, data);
  // For what a predecessor published and died before it rang.
  live.publish(main);
  let left = 0;
  for (let n = 0; n < data.seqs.length; n++) {
    if (data.fates[n] !== 0) continue;
    // Both rings, and in some turns only one of them.
    const door = n % 3 === 0 ? bulk : live;
    while (!door.hasRoom) {
      live.publish(main);
      bulk.publish(main);
      door.wait();
    }
    door.claim(n);
    if (--left > 0) continue;
    left = 1 + (n % RUN_MAX);
    live.publish(main);
    bulk.publish(main);
    live.settle();
    bulk.settle();
  }
  live.publish(main);
  bulk.publish(main);
  while (!live.isEmpty) live.wait();
  while (!bulk.isEmpty) bulk.wait();
}

if (workerData?.producer !== undefined) run(workerData as PublishingData);
