/**
 * The write path's front end: claims slots in the intake ring and keeps the replies that wait for
 * them. In the thread of the ring's one producer.
 *
 * One turn of the event loop:  offer … offer → (setImmediate) publish head, ring the bell once,
 * settle what became durable, and if something is still waiting, ask to be woken (waitAsync).
 * While turn after turn brings events, they are gathered and published together: one flush for all.
 *
 *          settled                tail                  head            claimed
 *   ──────────┼─────────────────────┼─────────────────────┼────────────────┼──────────▶
 *    free     │ durable, reply due  │ the log thread's    │ this turn's    │ free
 *
 * claimed − settled ≤ QUEUE_SIZE, and the same of all producers together. Slots outside settled … claimed
 * are the producer's alone.
 * (Over 300 lines: claiming, publishing, settling and giving up share these cursors.)
 */
import assert from 'node:assert/strict';
import type { ProductEvent } from '../event/product-event.ts';
import { encodeEvent } from '../event/slot-encoder.ts';
import { BellWatch } from '../ring/bell.ts';
import {
  INTAKE_BELL_BACK,
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRing,
  publishHead,
} from '../ring/intake-ring.ts';
import {
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  SLOT_DOUBLES,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
} from '../ring/slot.ts';
import type { SharedPlaces } from '../threads/shared-places.ts';
import { DrainRate } from './drain-rate.ts';
import type { DurableAges } from './durable-ages.ts';
import type { EventIntake, EventWaiter, Offer } from './event-intake.ts';
import type { SlotAdmission } from './slot-admission.ts';

const GATHER_MS_DEFAULT = 1;

export interface RingIntakeOptions {
  readonly ring: IntakeRing;
  /** The main thread's live ring, which has the doorbell of all; the same one, unless given. */
  readonly main?: IntakeRing | undefined;
  /** Events in flight at the most; ≤ the ring's capacity. */
  readonly queueSize: number;
  /** Those of `queueSize`, where several producers share them. */
  readonly places?: SharedPlaces | undefined;
  readonly admission: SlotAdmission;
  /** How long a waiter waits at the most before it is notified that the outcome is unknown. */
  readonly storageTimeoutMs: number;
  /** Whether the log may drop events without a key, too: one that other instances write to. */
  readonly isLogShared?: boolean | undefined;
  /** Hears how long events took; nobody does, unless given. */
  readonly ages?: DurableAges | undefined;
  /** How long events are held back at the most while turn after turn brings more. For tests. */
  readonly gatherMs?: number;
}

export class RingIntake implements EventIntake {
  readonly #options: RingIntakeOptions;
  readonly #ring: IntakeRing;
  readonly #main: IntakeRing;
  readonly #waiters: (EventWaiter | undefined)[];
  /** When the slot at the same index was claimed, to the turn: `performance.now()`. */
  readonly #claimedAtMs: Float64Array;
  /** Whether the slot at the same index may be dropped: it has a key, or the log is shared. */
  readonly #isKeyed: Uint8Array;
  readonly #gatherMs: number;
  readonly #rate = new DrainRate();
  readonly #sweep: NodeJS.Timeout;
  readonly #onTurn = () => this.#endTurn();
  readonly #hasMoved = () => Atomics.load(this.#ring.cursors, INTAKE_TAIL) !== this.#settled;
  readonly #bell: BellWatch;
  #claimed: number;
  #settled: number;
  #turnPending = false;
  /** What was claimed when the last turn ended. */
  #gathered: number;
  #turnMs = 0;
  #open = false;
  #storageAvailable = true;
  #onDrained: (() => void)[] = [];

  constructor(options: RingIntakeOptions) {
    assert.ok(options.queueSize <= options.ring.capacity);
    this.#options = options;
    this.#ring = options.ring;
    this.#main = options.main ?? options.ring;
    this.#bell = new BellWatch(this.#ring.cursors, INTAKE_BELL_BACK, () => {
      this.#settle();
      this.#wait();
    });
    this.#claimed = Atomics.load(this.#ring.cursors, INTAKE_HEAD);
    this.#settled = this.#claimed;
    this.#gathered = this.#claimed;
    this.#gatherMs = options.gatherMs ?? GATHER_MS_DEFAULT;
    this.#waiters = new Array<EventWaiter | undefined>(this.#ring.capacity).fill(undefined);
    this.#claimedAtMs = new Float64Array(this.#ring.capacity);
    this.#isKeyed = new Uint8Array(this.#ring.capacity);
    const sweepMs = Math.max(10, Math.min(250, options.storageTimeoutMs / 4));
    this.#sweep = setInterval(() => this.#failOverdue(), sweepMs).unref();
  }

  /** Events claimed and not yet settled, those of other producers apart. */
  get inFlight(): number {
    return (this.#claimed - this.#settled) | 0;
  }

  /** How far slots are claimed; `isSettled` says when all up to there are settled. */
  get claimed(): number {
    return this.#claimed;
  }

  isSettled(claimed: number): boolean {
    return ((this.#settled - claimed) | 0) >= 0;
  }

  /** Lets offers in; closed at first. */
  open(): void {
    this.#open = true;
  }

  /** Refuses offers from now on; resolves when everything in flight is settled. */
  close(): Promise<void> {
    this.#open = false;
    return new Promise((resolve) => {
      if (this.inFlight === 0) resolve();
      else this.#onDrained.push(resolve);
    });
  }

  /** While false, offers are refused; what is in flight goes on waiting. */
  set storageAvailable(available: boolean) {
    this.#storageAvailable = available;
  }

  /** Notifies everybody who still waits that the outcome is unknown: the log thread gave up. */
  failAll(): void {
    for (let c = this.#settled; c !== this.#claimed; c = (c + 1) | 0) this.#fail(c);
    this.#options.places?.give(this.inFlight);
    this.#settled = this.#claimed;
    this.#afterSettling();
  }

  /** Stops the timer and the wait; nothing may be offered after it. */
  dispose(): void {
    clearInterval(this.#sweep);
    this.#open = false;
    this.#bell.release();
  }

  retryAfterSeconds(): number {
    return this.#rate.secondsFor(this.inFlight, performance.now());
  }

  offer(event: ProductEvent, waiter: EventWaiter | undefined): Offer {
    if (!this.#open) return 'closed';
    if (!this.#storageAvailable) return 'storage-unavailable';
    const { queueSize, places } = this.#options;
    if (this.inFlight >= queueSize || places?.areTaken === true) return 'queue-full';
    const refused = this.#write(event);
    if (refused !== undefined) return refused;
    // Last: a place is taken for nothing but an event, so whoever sees none free sees events.
    if (places?.take() === false) return this.#cancel();

    if (!this.#turnPending) {
      this.#turnPending = true;
      this.#turnMs = performance.now();
      if (this.inFlight === 0) this.#rate.started(this.#turnMs);
      setImmediate(this.#onTurn);
    }
    const index = this.#claimed & this.#ring.mask;
    this.#waiters[index] = waiter;
    this.#claimedAtMs[index] = this.#turnMs;
    this.#isKeyed[index] = event.key === undefined && this.#options.isLogShared !== true ? 0 : 1;
    this.#claimed = (this.#claimed + 1) | 0;
    return 'queued';
  }

  /** Writes the event to the next slot; the slot is claimed only when nothing speaks against it. */
  #write(event: ProductEvent): Offer | undefined {
    const { admission } = this.#options;
    const { slots, mask } = this.#ring;
    const index = this.#claimed & mask;
    encodeEvent(event, slots, index);
    const reservation = admission.admit(slots, index);
    if (reservation === 'reserved') return undefined;
    return reservation === 'full' ? 'store-full' : 'undecided';
  }

  /** Another producer was given the last place meanwhile. */
  #cancel(): 'queue-full' {
    const { slots, mask } = this.#ring;
    this.#options.admission.cancel(slots, this.#claimed & mask);
    return 'queue-full';
  }

  #endTurn(): void {
    if (this.#isGathering()) {
      this.#gathered = this.#claimed;
      setImmediate(this.#onTurn);
      return;
    }
    this.#turnPending = false;
    publishHead(this.#ring, this.#claimed, this.#main);
    this.#settle();
    this.#wait();
  }

  /**
   * Whether this turn brought events and the next may bring more: it comes at once, so a lull ends
   * it without delay. A client that is alone waits for nobody.
   */
  #isGathering(): boolean {
    return (
      this.#claimed !== this.#gathered &&
      this.inFlight > 1 &&
      performance.now() - this.#turnMs < this.#gatherMs
    );
  }

  /** Asks to be woken when the tail moves, if something is waiting for that. */
  #wait(): void {
    while (this.inFlight > 0 && this.#bell.watch(this.#hasMoved)) this.#settle();
  }

  /** Answers everything that became durable. */
  #settle(): void {
    // Pairs with the log thread's Atomics.store of the tail, after it wrote the slots' numbers.
    const tail = Atomics.load(this.#ring.cursors, INTAKE_TAIL);
    const count = (tail - this.#settled) | 0;
    if (count <= 0) return;
    const { slots, mask } = this.#ring;
    const { doubles, words } = slots;
    const nowMs = performance.now();
    // Before the waiters are notified: they may take in more.
    this.#options.places?.give(count);
    this.#rate.settled(count, nowMs);
    this.#noteAges(tail, nowMs);
    for (let c = this.#settled; c !== tail; c = (c + 1) | 0) {
      const index = c & mask;
      const waiter = this.#waiters[index];
      // Only where there may be something to see: the slot is in the log thread's cache.
      const meta = this.#isKeyed[index] === 1 ? words[index * SLOT_WORDS + SLOT_META] : 0;
      const isDropped = (meta & (FLAG_DUPLICATE | FLAG_CONFLICT | FLAG_NO_ROOM)) !== 0;
      // No applier sees it, so none releases what was reserved for it.
      if (isDropped) this.#options.admission.cancel(slots, index);
      this.#settled = (c + 1) | 0;
      if (waiter === undefined) continue;
      this.#waiters[index] = undefined;
      if ((meta & FLAG_CONFLICT) !== 0) waiter.conflict();
      else if ((meta & FLAG_NO_ROOM) !== 0) refuse(waiter);
      else waiter.durable(doubles[index * SLOT_DOUBLES + SLOT_SEQ], isDropped);
    }
    this.#afterSettling();
  }

  /** Before the waiters are notified: they may take in more. */
  #noteAges(tail: number, nowMs: number): void {
    const { ages } = this.#options;
    if (ages === undefined) return;
    const { slots, mask } = this.#ring;
    const claimedAtMs = this.#claimedAtMs;
    for (let c = this.#settled; c !== tail; c = (c + 1) | 0) {
      ages.durable.observe(nowMs - claimedAtMs[c & mask]);
    }
    const last = (tail - 1) & mask;
    // A repetition has the seq of the first, which is applied long since; a conflict has none.
    if (this.#isKeyed[last] === 1) return;
    ages.note(slots.doubles[last * SLOT_DOUBLES + SLOT_SEQ], claimedAtMs[last], nowMs);
  }

  #afterSettling(): void {
    if (this.inFlight > 0 || this.#onDrained.length === 0) return;
    for (const resolve of this.#onDrained) resolve();
    this.#onDrained = [];
  }

  /** Lets go those who waited too long; their slots stay in flight. */
  #failOverdue(): void {
    const before = performance.now() - this.#options.storageTimeoutMs;
    for (let c = this.#settled; c !== this.#claimed; c = (c + 1) | 0) {
      if (this.#claimedAtMs[c & this.#ring.mask] > before) return;
      this.#fail(c);
    }
  }

  #fail(cursor: number): void {
    const index = cursor & this.#ring.mask;
    const waiter = this.#waiters[index];
    this.#waiters[index] = undefined;
    waiter?.failed('unknown');
  }
}

function refuse(waiter: EventWaiter): void {
  if (waiter.noRoom === undefined) waiter.failed('none');
  else waiter.noRoom();
}
