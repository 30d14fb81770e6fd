/** The producer of a bulk ring, as simple as can be: one event, one answer. Main thread. Tests only. */
import { BellWatch } from '../../src/ring/bell.ts';
import {
  INTAKE_BELL_BACK,
  INTAKE_HEAD,
  INTAKE_TAIL,
  type IntakeRings,
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
import type { HashKey } from '../../src/threads/shared-memory.ts';
import { type PlainEvent, putEvent } from '../helpers/models/plain-event.ts';

export interface BulkFate {
  readonly seq: number;
  readonly isReplayed: boolean;
  readonly isConflict: boolean;
}

export class BulkProducer {
  readonly #rings: IntakeRings;
  readonly #key: HashKey;
  readonly #waiting: ((fate: BulkFate) => void)[] = [];
  readonly #bell: BellWatch;
  #head: number;
  #settled: number;

  constructor(rings: IntakeRings, key: HashKey) {
    this.#rings = rings;
    this.#key = key;
    this.#head = Atomics.load(rings.bulk.cursors, INTAKE_HEAD);
    this.#settled = this.#head;
    this.#bell = new BellWatch(rings.bulk.cursors, INTAKE_BELL_BACK, () => this.#watch());
  }

  get room(): number {
    return this.#rings.bulk.capacity - this.#waiting.length;
  }

  /** There must be room. Resolves when the event is settled. */
  send(event: PlainEvent): Promise<BulkFate> {
    const { live, bulk } = this.#rings;
    putEvent(bulk.slots, this.#head & bulk.mask, event, this.#key);
    this.#head = (this.#head + 1) | 0;
    publishHead(bulk, this.#head, live);
    const fate = Promise.withResolvers<BulkFate>();
    this.#waiting.push(fate.resolve);
    this.#watch();
    return fate.promise;
  }

  #watch(): void {
    const { cursors } = this.#rings.bulk;
    const hasMoved = () => Atomics.load(cursors, INTAKE_TAIL) !== this.#settled;
    while (this.#waiting.length > 0 && this.#bell.watch(hasMoved)) this.#settle();
  }

  #settle(): void {
    const { cursors, slots, mask } = this.#rings.bulk;
    const tail = Atomics.load(cursors, INTAKE_TAIL);
    for (; this.#settled !== tail; this.#settled = (this.#settled + 1) | 0) {
      const index = this.#settled & mask;
      const meta = slots.words[index * SLOT_WORDS + SLOT_META];
      this.#waiting.shift()?.({
        seq: slots.doubles[index * SLOT_DOUBLES + SLOT_SEQ],
        isReplayed: (meta & FLAG_DUPLICATE) !== 0,
        isConflict: (meta & FLAG_CONFLICT) !== 0,
      });
    }
  }
}
