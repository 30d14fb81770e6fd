/**
 * What an event id may be: 1–128 bytes of UTF-8, no control characters, no lone surrogates. Main thread;
 * pure.
 */
import { Buffer } from 'node:buffer';
import { hasControl } from './control-characters.ts';

export const EVENT_ID_BYTES_MAX = 128;

export const EVENT_ID_RULE = `event_id must be a string of 1 to ${EVENT_ID_BYTES_MAX} bytes of UTF-8 without control characters.`;

export function isEventId(id: string): boolean {
  return (
    id.length > 0 &&
    Buffer.byteLength(id) <= EVENT_ID_BYTES_MAX &&
    !hasControl(id) &&
    id.isWellFormed()
  );
}
