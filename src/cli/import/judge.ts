/**
 * Judges events as the service does, by the service's own reader and rules, without one: for `--dry-run`, and
 * where a batch has more faults than the service lists. What only a service can know (an event id that came
 * with other content, no room) it doesn't. Main thread.
 */
import type { EventSink } from '../../bulk/batch-reader.ts';
import { NdjsonReader } from '../../bulk/ndjson-reader.ts';
import type { BodyFault } from '../../errors/problems.ts';
import { type BatchEvents, batchEvents } from '../../event/batch-event.ts';
import { FUTURE_MS_MAX } from '../../event/event-time.ts';
import { SLOT_BYTES, SlotViews } from '../../ring/slot.ts';

export interface Judgement {
  readonly good: number;
  /** Faulty lines of the body, from 1, each with all its faults. */
  readonly faulty: readonly { readonly line: number; readonly faults: readonly BodyFault[] }[];
}

export class Judge {
  readonly #events: BatchEvents;
  readonly #slots = new SlotViews(new ArrayBuffer(SLOT_BYTES), 0, 1);

  /** `stockMin` is the service's STOCK_MIN. */
  constructor(stockMin: number) {
    this.#events = batchEvents(stockMin);
  }

  judge(body: Uint8Array, nowMs: number): Judgement {
    const reader = new NdjsonReader(this.#events);
    const faulty: { line: number; faults: readonly BodyFault[] }[] = [];
    let good = 0;
    const sink: EventSink = {
      slots: this.#slots,
      nextSlot: () => 0,
      accept: () => {
        good++;
        return true;
      },
      refuse: (line, faults) => void faulty.push({ line, faults }),
    };
    let at = 0;
    for (;;) {
      const state = reader.read(sink, nowMs, nowMs + FUTURE_MS_MAX);
      if (state === 'done') return { good, faulty };
      if (state === 'more') continue;
      if (state !== 'hungry') throw new Error(`expected a reader that goes on, found ${state}`);
      if (at === body.length) reader.end();
      else at += reader.fill(body, at);
    }
  }
}
