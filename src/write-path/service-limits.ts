/**
 * The limits that are the service's and not a thread's, where several threads take events in: which tallies stand
 * in the shared memory, how a producer has its part of them, and how the main thread takes back what one that
 * died had of them. docs/producers.md has the interleavings.
 */
import { type BulkPlacesOptions, waitNoMore, waitsBytes } from '../intake/bulk-places.ts';
import { type ProducerRings, unsettledOf } from '../ring/intake-ring.ts';
import { SharedReservations } from '../store/reservations.ts';
import { SHARD_RELEASED, type Shard } from '../store/shard.ts';
import type { TogetherMemory } from '../threads/shared-memory.ts';
import { SharedPlaces } from '../threads/shared-places.ts';
import { Tallies } from '../threads/tallies.ts';
import { endDeciding, fenceBytes } from './admission-fence.ts';

/** Single events in flight, events of batches in flight, batches. */
const QUEUE = 0;
const BULK_QUEUE = 1;
const BATCHES = 2;
const TALLIES = 3;

export function togetherBytes(producers: number, shards: number): number {
  return (
    Tallies.bytes(TALLIES, producers) +
    waitsBytes(producers) +
    SharedReservations.bytes(shards, producers) +
    fenceBytes(producers)
  );
}

export function createTogether(producers: number, shards: number): TogetherMemory {
  return {
    places: Tallies.create(TALLIES, producers),
    waits: new SharedArrayBuffer(waitsBytes(producers)),
    room: SharedReservations.create(shards, producers),
    fence: new SharedArrayBuffer(fenceBytes(producers)),
  };
}

export interface LimitsOfProducer {
  readonly queue: SharedPlaces;
  readonly bulk: { readonly places: BulkPlacesOptions; readonly batches: SharedPlaces };
  readonly room: { readonly reservations: SharedReservations; readonly producers: number };
}

/** Producer `producer`'s part of the limits. In its thread. */
export function limitsOf(
  together: TogetherMemory,
  producer: number,
  shards: number,
  most: { readonly queueSize: number; readonly batchesMax: number },
): LimitsOfProducer {
  const tallies = new Tallies(together.places, TALLIES, producer);
  return {
    queue: new SharedPlaces(tallies, QUEUE, most.queueSize),
    bulk: {
      places: { tallies, tally: BULK_QUEUE, waits: together.waits, producer },
      batches: new SharedPlaces(tallies, BATCHES, most.batchesMax),
    },
    room: {
      reservations: new SharedReservations(together.room, shards, producer),
      producers: tallies.threads,
    },
  };
}

/** What all producers have in flight, single events and batches. Any thread. */
export function inFlightOf(together: TogetherMemory): { single: number; batch: number } {
  const tallies = new Tallies(together.places, TALLIES, 0);
  return { single: tallies.total(QUEUE), batch: tallies.total(BULK_QUEUE) };
}

/** What a producer that is dead had of the limits. Main thread. */
export class Estate {
  readonly #together: TogetherMemory;
  readonly #producer: number;
  readonly #rings: ProducerRings;
  readonly #shards: readonly Shard[];
  readonly #tallies: Tallies;

  constructor(
    together: TogetherMemory,
    producer: number,
    rings: ProducerRings,
    shards: readonly Shard[],
  ) {
    this.#together = together;
    this.#producer = producer;
    this.#rings = rings;
    this.#shards = shards;
    this.#tallies = new Tallies(together.places, TALLIES, 0);
    endDeciding(together.fence, producer);
  }

  /** Whether all that it had published is settled. */
  get isSettled(): boolean {
    return unsettledOf(this.#rings.live) === 0 && unsettledOf(this.#rings.bulk) === 0;
  }

  /** Gives back all places but those of what is published and not settled. False if to be called again. */
  givePlaces(): boolean {
    const tallies = this.#tallies;
    const { live, bulk } = this.#rings;
    tallies.inherit(QUEUE, this.#producer, unsettledOf(live));
    tallies.inherit(BULK_QUEUE, this.#producer, unsettledOf(bulk));
    tallies.inherit(BATCHES, this.#producer, 0);
    const balanced = [QUEUE, BULK_QUEUE, BATCHES].filter(
      (tally) => tallies.balance(tally) !== undefined,
    );
    waitNoMore(this.#together.waits, this.#producer);
    return balanced.length === TALLIES;
  }

  /** Once all that it had published is applied: gives back the room. False if to be called again. */
  giveRoom(): boolean {
    const released = this.#shards.map(({ words }) =>
      Atomics.load(words, SHARD_RELEASED + this.#producer),
    );
    const { room } = this.#together;
    const reservations = new SharedReservations(room, this.#shards.length, 0);
    return reservations.inherit(this.#producer, released);
  }
}
