/** What an event is once it is validated, on its way to a slot. Main thread; types only. */

/** One validated event. The optional members stand for rare wishes; most events have none. */
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
  /** What makes a repetition known: three Int32s, see event/fingerprint.ts. */
  readonly key?: Int32Array | undefined;
}

/** An event that sets both fields, as the single POST asks for. */
export interface FullEvent extends ProductEvent {
  readonly price: number;
  readonly stock: number;
}
