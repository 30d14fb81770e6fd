/**
 * The keys under which the events of a batch are known when they come again: each event's own
 * event_id, else the key of the request and the event's place in the batch. Main thread.
 */
import { fingerprintKey, putFingerprint } from '../event/fingerprint.ts';
import type { SlotViews } from '../ring/slot.ts';

export class BatchKeys {
  readonly #base: Int32Array | undefined;

  /** `requestKey`: of the request's Idempotency-Key, three Int32s. */
  constructor(requestKey: Int32Array | undefined) {
    this.#base = requestKey;
  }

  /**
   * Writes the fingerprint of the event in the slot, in which all else must stand, if it has a key.
   * `order` is its place in the batch, from 0. Returns whether it has one.
   */
  put({ words }: SlotViews, index: number, order: number, eventId: string | undefined): boolean {
    if (eventId !== undefined) putFingerprint(words, index, fingerprintKey('event', eventId), 0);
    else if (this.#base !== undefined) putFingerprint(words, index, this.#base, order);
    else return false;
    return true;
  }
}
