/**
 * The long way of an event from bytes into a slot: UTF-8 check, JSON.parse, schema, as a body of the
 * single route goes. Says what is wrong in the same words. Main thread.
 */

import { type Buffer, isUtf8 } from 'node:buffer';
import { whereItFails } from '../errors/json-fault.ts';
import type { BodyFault } from '../errors/problems.ts';
import type { BatchEvents } from '../event/batch-event.ts';
import { encodeEvent } from '../event/slot-encoder.ts';
import { SourceScan, withSourceFaults } from '../event/source-faults.ts';
import type { SlotViews } from '../ring/slot.ts';

const NOT_UTF8: BodyFault = { pointer: '', detail: 'The event is not valid UTF-8.' };

export class EventValidator {
  /** The event id of the event that was found valid last. */
  eventId: string | undefined;
  readonly #events: BatchEvents;
  readonly #scan = new SourceScan();

  constructor(events: BatchEvents) {
    this.#events = events;
  }

  /**
   * Validates the event from `start` to `end` of `bytes`, one line or array element, and writes it to
   * slot `index` of `slots`, whole but for its hash. Returns what is wrong with it (the slot is
   * untouched), or `undefined` for a valid event. `nowMs` is the wall clock.
   */
  validate(
    bytes: Buffer,
    start: number,
    end: number,
    slots: SlotViews,
    index: number,
    nowMs: number,
  ): readonly BodyFault[] | undefined {
    const scan = this.#scan;
    scan.read(bytes, start, end);
    if (!scan.isAscii && !isUtf8(bytes.subarray(start, end))) return [NOT_UTF8];
    const text = bytes.toString(scan.isAscii ? 'latin1' : 'utf8', start, end);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      return [{ pointer: '', detail: whereItFails(text, 'The event') }];
    }
    const source = scan.faults(value, text);
    const validated = this.#events.validate(value, nowMs);
    if ('faults' in validated) return withSourceFaults(validated.faults, source);
    if (source !== undefined) return withSourceFaults([], source);
    const { event, eventId } = validated;
    encodeEvent(event, slots, index);
    this.eventId = eventId;
    return undefined;
  }
}
