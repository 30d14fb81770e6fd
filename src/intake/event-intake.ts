/**
 * The seam between HTTP and the write path: what a route may ask of the intake.
 * Implemented by `ring-intake.ts`; runs on the main thread only and never blocks it.
 */
import type { ProductEvent } from '../event/product-event.ts';

/**
 * What an answer to a write states: `accepted` (in memory), `durable` (flushed to disk) or
 * `applied` (durable, and every read shows it).
 */
export const ACK_LEVELS = ['accepted', 'durable', 'applied'] as const;
export type AckLevel = (typeof ACK_LEVELS)[number];

/** Whoever waits for the fate of one event; exactly one of the methods is called, once. */
export interface EventWaiter {
  /**
   * The event is flushed to disk under this number; `isReplayed`: it was already, when it came
   * before under the same key.
   */
  durable(seq: number, isReplayed?: boolean): void;
  /** Another event came before under the same key; this one was not accepted. */
  conflict(): void;
  /**
   * The product was new, and when the event's turn came in a log that other instances write to as well,
   * they had taken the last room; it was not accepted. Without it, `failed('none')` is called.
   */
  noRoom?(): void;
  /**
   * The event will not be acknowledged.
   * `none`: it was not applied and never will be; `unknown`: it had been handed to a disk that failed.
   */
  failed(outcome: 'none' | 'unknown'): void;
}

/**
 * What became of an offer. Everything but `queued` is an expected answer that changed nothing:
 * - `queue-full`: QUEUE_SIZE events are in flight.
 * - `store-full`: the product is new and MAX_MEMORY_USAGE has no room for it.
 * - `undecided`: the product is unknown, the last room is reserved by events in flight that may
 *   be for the same product; ask again on a later turn of the event loop.
 * - `storage-unavailable`: the log can't be written at the moment.
 * - `closed`: the service is starting or stopping.
 */
export type Offer =
  | 'queued'
  | 'queue-full'
  | 'store-full'
  | 'undecided'
  | 'storage-unavailable'
  | 'closed';

export interface EventIntake {
  /**
   * Claims a slot for `event`. A `waiter` is notified once the event is durable; without one
   * (`ack=accepted`) nobody is. Never blocks. Main thread only.
   */
  offer(event: ProductEvent, waiter: EventWaiter | undefined): Offer;

  /** Whole seconds (≥ 1) after which the queue should have drained, from the measured drain rate. */
  retryAfterSeconds(): number;
}
