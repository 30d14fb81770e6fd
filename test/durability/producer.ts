/** The main thread's end of an intake ring, in the simulation: pushes events, reads their fate. Tests only. */
import assert from 'node:assert/strict';
import type { SlotAdmission } from '../../src/intake/slot-admission.ts';
import { INTAKE_HEAD, INTAKE_TAIL, type IntakeRing } from '../../src/ring/intake-ring.ts';
import {
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../../src/ring/slot.ts';
import type { HashKey } from '../../src/threads/shared-memory.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';

/** An event and what its slot says of it. */
export interface Fated {
  readonly event: PlainEvent;
  readonly seq: number;
  readonly fate: 'new' | 'repeated' | 'conflict';
}

export class Producer {
  /** Events that are not settled, as far as the main thread has looked; oldest first. */
  readonly pending: PlainEvent[] = [];
  readonly #ring: IntakeRing;
  #settled: number;

  constructor(ring: IntakeRing) {
    this.#ring = ring;
    this.#settled = Atomics.load(ring.cursors, INTAKE_TAIL);
  }

  get room(): number {
    return this.#ring.capacity - this.pending.length;
  }

  /** False if the store has no room for the event's product. There must be room in the ring. */
  push(event: PlainEvent, hashKey: HashKey, admission: SlotAdmission): boolean {
    const { cursors, slots, mask } = this.#ring;
    assert.ok(this.room > 0);
    const head = Atomics.load(cursors, INTAKE_HEAD);
    const index = head & mask;
    putEvent(slots, index, event, hashKey);
    const isEvent = event.receipt === undefined && event.isForget !== true;
    if (isEvent && admission.admit(slots, index) !== 'reserved') return false;
    this.pending.push(event);
    Atomics.store(cursors, INTAKE_HEAD, (head + 1) | 0);
    return true;
  }

  /** What the pending slots say now, the log thread being in the middle of them. */
  unsettled(): Fated[] {
    return this.pending.map((event, i) => this.#fateOf(event, (this.#settled + i) | 0));
  }

  /** Takes what was settled since the last call. */
  settle(admission: SlotAdmission): Fated[] {
    const count = (Atomics.load(this.#ring.cursors, INTAKE_TAIL) - this.#settled) | 0;
    const settled = this.unsettled().slice(0, count);
    assert.equal(settled.length, count);
    for (const [i, { fate }] of settled.entries()) {
      if (fate !== 'new') admission.cancel(this.#ring.slots, (this.#settled + i) & this.#ring.mask);
    }
    this.pending.splice(0, count);
    this.#settled = (this.#settled + count) | 0;
    return settled;
  }

  /** Removes the seqs of all slots from cursor `tail` on. */
  forgetSeqs(tail: number): void {
    const { cursors, slots, mask } = this.#ring;
    for (let c = tail; c !== Atomics.load(cursors, INTAKE_HEAD); c = (c + 1) | 0) {
      slots.doubles[(c & mask) * SLOT_DOUBLES + SLOT_SEQ] = 0;
    }
  }

  #fateOf(event: PlainEvent, cursor: number): Fated {
    const { slots, mask } = this.#ring;
    const index = cursor & mask;
    const meta = slots.words[index * SLOT_WORDS + SLOT_META];
    const seq = slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ];
    if ((meta & FLAG_CONFLICT) !== 0) return { event, seq, fate: 'conflict' };
    return { event, seq, fate: (meta & FLAG_DUPLICATE) !== 0 ? 'repeated' : 'new' };
  }
}
