/**
 * The slices of history that were read last, as the text that followers get: many who catch up from one
 * place read it once. Main thread.
 *
 * A slice ends where the seq is a multiple of SLICE_EVENTS, so that followers who began anywhere come to
 * the same ones. Its states are those of the moment when it was read: each that of its event, or a newer one, as
 * in every message; what changed since comes behind it, under a seq of its own.
 */
import { SLICE_EVENTS } from './event-batch.ts';

/** Some 100 KB each. */
const SLICES_MAX = 32;

export interface Slice {
  readonly events: Buffer;
  /** The last seq that it passes. */
  readonly place: number;
}

/** Where the slice ends that begins behind `place`. */
export function sliceEnd(place: number): number {
  return (Math.floor(place / SLICE_EVENTS) + 1) * SLICE_EVENTS;
}

export class RecentSlices {
  /** By the place behind which each begins; the one used last is the last. */
  readonly #slices = new Map<number, Slice>();

  /** The slice behind `place`, if it goes no further than `goal`. */
  get(place: number, goal: number): Slice | undefined {
    const slice = this.#slices.get(place);
    if (slice === undefined || slice.place > goal) return undefined;
    this.#slices.delete(place);
    this.#slices.set(place, slice);
    return slice;
  }

  /** Keeps the slice behind `place`, if it is a whole one. */
  put(place: number, slice: Slice): void {
    if (slice.place !== sliceEnd(place)) return;
    this.#slices.set(place, slice);
    const [oldest] = this.#slices.keys();
    if (this.#slices.size > SLICES_MAX && oldest !== undefined) this.#slices.delete(oldest);
  }

  clear(): void {
    this.#slices.clear();
  }
}
