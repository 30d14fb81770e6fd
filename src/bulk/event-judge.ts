/**
 * The long way of an event from bytes into a slot: UTF-8 check, JSON.parse, schema, as a body of the
 * single route goes. Says what is wrong in the same words. Main thread.
 */

import { type Buffer, isUtf8 } from 'node:buffer';
import { whereItFails } from '../errors/json-fault.ts';
import type { BodyFault } from '../errors/problems.ts';
import type { BatchEvents } from '../event/batch-event.ts';
import { SourceScan, withSourceFaults } from '../event/json-source.ts';
import { encodeEvent } from '../event/slot-encoder.ts';
import type { SlotViews } from '../ring/slot.ts';

const NOT_UTF8: BodyFault = { pointer: '', detail: 'The event is not valid UTF-8.' };

export class EventJudge {
  /** The event id of the event that was found valid last. */
  eventId: string | undefined;
  readonly #events: BatchEvents;
  readonly #scan = new SourceScan();

  constructor(events: BatchEvents) {
    this.#events = events;
  }

  /**
   * Judges the event in `text`, the bytes of one line or array element, and writes it to slot
   * `index` of `slots`, whole but for its hash. Returns what is wrong with it (the slot is
   * untouched), or `undefined` for a valid event. `nowMs` is the wall clock.
   */
  judge(
    text: Buffer,
    slots: SlotViews,
    index: number,
    nowMs: number,
  ): readonly BodyFault[] | undefined {
    const scan = this.#scan;
    scan.read(text);
    if (!scan.isAscii && !isUtf8(text)) return [NOT_UTF8];
    let value: unknown;
    try {
      value = JSON.parse(text.toString(scan.isAscii ? 'latin1' : 'utf8'));
    } catch (error) {
      return [{ pointer: '', detail: whereItFails(error, 'The event') }];
    }
    const source = scan.faults(text, value);
    const judged = this.#events.judge(value, nowMs);
    if ('faults' in judged) return withSourceFaults(judged.faults, source);
    if (source !== undefined) return withSourceFaults([], source);
    encodeEvent(judged.event, slots, index, nowMs);
    this.eventId = judged.eventId;
    return undefined;
  }
}
