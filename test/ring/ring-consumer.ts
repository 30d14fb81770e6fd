/**
 * A thread that consumes a ring as the log thread or an applier does, checks every slot and goes no
 * further than it is allowed to. Started by `startConsumer`; steered through shared memory alone.
 * Tests only.
 */
import { Worker, workerData } from 'node:worker_threads';
import {
  COMMIT_BELL_BACK,
  COMMIT_DOORBELL,
  COMMIT_HEAD,
  CommitRing,
  commitCursor,
} from '../../src/ring/commit-ring.ts';
import {
  INTAKE_BELL_BACK,
  INTAKE_DOORBELL,
  INTAKE_HEAD,
  INTAKE_TAIL,
  IntakeRing,
} from '../../src/ring/intake-ring.ts';
import { SLOT_DOUBLES, SLOT_WORDS, type SlotViews } from '../../src/ring/slot.ts';

/** Words of the steering block: how many slots it may pass, how many were wrong, which one first. */
const ALLOWED = 0;
const WRONG = 1;
const FIRST_WRONG = 2;

interface ConsumerData {
  readonly kind: 'intake' | 'commit';
  readonly buffer: SharedArrayBuffer;
  readonly appliers: number;
  readonly index: number;
  readonly total: number;
  readonly steering: Int32Array;
}

/** Fills the slot for event `n` so that every word of it tells whether it is that one. */
export function fillSlot(slots: SlotViews, index: number, n: number): void {
  for (let w = 2; w < SLOT_WORDS; w++) slots.words[index * SLOT_WORDS + w] = Math.imul(n, 31) + w;
  slots.doubles[index * SLOT_DOUBLES] = n;
}

function isSlotOf(slots: SlotViews, index: number, n: number): boolean {
  if (slots.doubles[index * SLOT_DOUBLES] !== n) return false;
  for (let w = 2; w < SLOT_WORDS; w++) {
    if (slots.words[index * SLOT_WORDS + w] !== ((Math.imul(n, 31) + w) | 0)) return false;
  }
  return true;
}

export class Consumer {
  readonly #steering: Int32Array;
  readonly #ended: Promise<void>;

  constructor(data: Omit<ConsumerData, 'steering'>) {
    this.#steering = new Int32Array(new SharedArrayBuffer(12));
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { ...data, steering: this.#steering },
    });
    this.#ended = new Promise((resolve, reject) => {
      worker.on('error', reject);
      worker.on('exit', () => resolve());
    });
  }

  /** Lets it pass the first `slots` slots. */
  allow(slots: number): void {
    Atomics.store(this.#steering, ALLOWED, slots);
    Atomics.notify(this.#steering, ALLOWED);
  }

  /** After it passed all slots: what was wrong, or ''. */
  async verdict(): Promise<string> {
    await this.#ended;
    const [, wrong, first] = this.#steering;
    return wrong === 0 ? '' : `${wrong} wrong slots, the first at ${first}`;
  }
}

/** The ends of either ring that a consumer works with. */
function openEnds({ kind, buffer, appliers, index }: ConsumerData) {
  if (kind === 'intake') {
    const ring = new IntakeRing(buffer);
    return {
      ring,
      head: INTAKE_HEAD,
      bell: INTAKE_DOORBELL,
      own: INTAKE_TAIL,
      back: INTAKE_BELL_BACK,
    };
  }
  const ring = new CommitRing(buffer, appliers);
  return {
    ring,
    head: COMMIT_HEAD,
    bell: COMMIT_DOORBELL,
    own: commitCursor(index),
    back: COMMIT_BELL_BACK,
  };
}

function consume(data: ConsumerData): void {
  const { steering, total } = data;
  const { ring, head, bell, own, back } = openEnds(data);
  const { cursors, slots, mask } = ring;
  let cursor = Atomics.load(cursors, own);
  for (let n = 1; n <= total; n++) {
    for (;;) {
      const allowed = Atomics.load(steering, ALLOWED);
      if (allowed >= n) break;
      Atomics.wait(steering, ALLOWED, allowed);
    }
    for (;;) {
      const rung = Atomics.load(cursors, bell);
      if (Atomics.load(cursors, head) !== cursor) break;
      Atomics.wait(cursors, bell, rung);
    }
    if (!isSlotOf(slots, cursor & mask, n)) {
      if (steering[WRONG] === 0) steering[FIRST_WRONG] = n;
      steering[WRONG] = steering[WRONG] + 1;
    }
    cursor = (cursor + 1) | 0;
    Atomics.store(cursors, own, cursor);
    Atomics.add(cursors, back, 1);
    Atomics.notify(cursors, back);
  }
}

if ((workerData as ConsumerData | null)?.steering !== undefined) consume(workerData);
