/**
 * What an event is once it is validated, on its way to a slot. Types only. The folder runs on the main
 * thread; what follows is where its other files stand on that way:
 *
 *   schema      product-event-body.ts, partial-event.ts (price or stock alone), batch-event.ts (one event
 *               of a batch), compiled by ajv.ts
 *   members     product-id.ts, event-id.ts, event-time.ts, exact-number.ts: what each may be
 *   faults      event-faults.ts, event-time-faults.ts, source-faults.ts: what is wrong, in words
 *   slot        slot-encoder.ts writes it, with its key: fingerprint.ts
 */

/** One validated event. Most have none of the optional members. */
export interface ProductEvent {
  /** 1–64 bytes of UTF-8, no control characters, no lone surrogates. */
  readonly productId: string;
  /** Finite, ≥ 0; `undefined` leaves it as it is. */
  readonly price: number | undefined;
  /** Integer, −2^53+1 … 2^53−1 (STOCK_MIN is for the schemas to hold); `undefined` leaves it as it is. */
  readonly stock: number | undefined;
  /** Milliseconds since the epoch; `undefined` means the time of arrival. */
  readonly occurredAtMs: number | undefined;
  /** Delists the product; price and stock are `undefined` then. Without it, one of them is not. */
  readonly isDelete?: boolean | undefined;
  /** The seq that the product must have when this is applied, EXPECTED_ANY or EXPECTED_UNLISTED. */
  readonly expectedSeq?: number | undefined;
  /** By which a repetition is known: three Int32s, see fingerprint.ts. */
  readonly key?: Int32Array | undefined;
}

/** An event that sets both fields, as the single POST asks for. */
export interface FullEvent extends ProductEvent {
  readonly price: number;
  readonly stock: number;
}
