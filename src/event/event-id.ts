/**
 * What may be an event id: 1–128 bytes of UTF-8, no control characters, no lone surrogates.
 * Main thread; pure functions.
 */
import { Buffer } from 'node:buffer';

export const EVENT_ID_BYTES_MAX = 128;

export const EVENT_ID_RULE = `event_id must be a string of 1 to ${EVENT_ID_BYTES_MAX} bytes of UTF-8 without control characters.`;

// C0, DEL and C1.
const CONTROL = /\p{Cc}/u;

/** Tells whether `id` is one. */
export function isEventId(id: string): boolean {
  return (
    id.length > 0 &&
    Buffer.byteLength(id) <= EVENT_ID_BYTES_MAX &&
    !CONTROL.test(id) &&
    id.isWellFormed()
  );
}
