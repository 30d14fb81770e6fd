/**
 * The body of a single event, whole, by the parser of batches: past JSON.parse, its object and the schema.
 * What is not in that parser's hot form, and what is no single event (event/product-event-body.ts), is left
 * to these. test/bulk/agreement.test.ts holds one to the other. Main thread; the hot path.
 */
import { Buffer } from 'node:buffer';
import { FUTURE_MS_MAX } from '../event/event-time.ts';
import type { FullEvent } from '../event/product-event.ts';
import {
  FLAG_ARRIVAL_TIME,
  SLOT_BYTES,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_STOCK,
  SlotViews,
} from '../ring/slot.ts';
import { isSpace } from './element-scanner.ts';
import { END_OF_BYTES, HotParser, type ParseOptions } from './hot-parser.ts';

/** The longest body that is looked at: the longest ids, and members with some white space. */
export const SINGLE_EVENT_BYTES_MAX = 1024;

export class SingleEventParser {
  /** Of the event that was parsed last. */
  eventId: string | undefined;
  readonly #parser = new HotParser();
  readonly #bytes = Buffer.alloc(SINGLE_EVENT_BYTES_MAX + 1);
  readonly #slot = new SlotViews(new ArrayBuffer(SLOT_BYTES), 0, 1);
  readonly #options: ParseOptions & { latestMs: number };

  /** `stockMin`: the least stock that an event may set. */
  constructor(stockMin: number) {
    this.#options = { spansLines: true, stockMin, latestMs: 0 };
  }

  /**
   * Reads `body`, of at most SINGLE_EVENT_BYTES_MAX bytes, as one event and nothing behind it;
   * `undefined`: it may be one all the same. `nowMs` is the wall clock.
   */
  parse(body: Uint8Array, nowMs: number): FullEvent | undefined {
    const bytes = this.#bytes;
    const parser = this.#parser;
    const options = this.#options;
    bytes.set(body);
    bytes[body.length] = END_OF_BYTES;
    options.latestMs = nowMs + FUTURE_MS_MAX;
    let end = parser.parse(bytes, 0, this.#slot, 0, options);
    if (end < 0 || parser.hasPartial) return undefined;
    while (end < body.length) if (!isSpace(bytes[end++])) return undefined;
    const { eventIdStart, eventIdEnd, productIdStart, productIdEnd } = parser;
    this.eventId =
      eventIdEnd === 0 ? undefined : bytes.toString('latin1', eventIdStart, eventIdEnd);
    const { doubles, words } = this.#slot;
    const isOfArrival = (words[SLOT_META] & FLAG_ARRIVAL_TIME) !== 0;
    return {
      productId: bytes.toString('latin1', productIdStart, productIdEnd),
      price: doubles[SLOT_PRICE],
      stock: doubles[SLOT_STOCK],
      occurredAtMs: isOfArrival ? undefined : doubles[SLOT_OCCURRED_AT],
    };
  }
}
