/**
 * The long way of an event from bytes into a slot: UTF-8 check, JSON.parse, schema, as a body of the
 * single route goes. Says what is wrong in the same words. Main thread.
 */

import { type Buffer, isUtf8 } from 'node:buffer';
import { whereItFails } from '../errors/json-fault.ts';
import type { BodyFault } from '../errors/problems.ts';
import type { BatchEvents } from '../event/batch-event.ts';
import { SourceScan, withSourceFaults } from '../event/json-source.ts';
import type { ProductEvent } from '../event/product-event.ts';
import {
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  KIND_UPSERT,
  packMeta,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_FINGERPRINT,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import { encodeProductIdWords } from '../store/product-id.ts';

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
    } catch {
      return [{ pointer: '', detail: whereItFails(text.toString(), 'The event') }];
    }
    const source = scan.faults(text, value);
    const judged = this.#events.judge(value, nowMs);
    if ('faults' in judged) return withSourceFaults(judged.faults, source);
    if (source !== undefined) return withSourceFaults([], source);
    writeEvent(judged.event, slots, index, nowMs);
    this.eventId = judged.eventId;
    return undefined;
  }
}

function writeEvent(event: ProductEvent, slots: SlotViews, index: number, nowMs: number): void {
  const { productId, price, stock, occurredAtMs } = event;
  const { doubles, words } = slots;
  const d = index * SLOT_DOUBLES;
  const w = index * SLOT_WORDS;
  let flags = 0;
  if (price !== undefined) flags |= FLAG_HAS_PRICE;
  if (stock !== undefined) flags |= FLAG_HAS_STOCK;
  if (occurredAtMs === undefined) flags |= FLAG_ARRIVAL_TIME;
  const idBytes = encodeProductIdWords(productId, slots, w + SLOT_ID);
  doubles[d + SLOT_SEQ] = 0;
  doubles[d + SLOT_OCCURRED_AT] = occurredAtMs ?? nowMs;
  // −0 and 0 are one price; the sum makes them one bit pattern.
  doubles[d + SLOT_PRICE] = price === undefined ? Number.NaN : price + 0;
  doubles[d + SLOT_STOCK] = stock === undefined ? Number.NaN : stock + 0;
  doubles[d + SLOT_EXPECTED_SEQ] = 0;
  words[w + SLOT_META] = packMeta(KIND_UPSERT, flags, idBytes);
  for (let i = SLOT_FINGERPRINT; i < SLOT_ID; i++) words[w + i] = 0;
}
