/**
 * What one event changed, as a value: for whatever passes changes on (the feed today). Whoever needs
 * it as text or bytes makes them at its own edge.
 */
export interface Change {
  readonly seq: number;
  readonly productId: string;
  /** What the event carried, without a field known to have been newer already. */
  readonly changedPrice: boolean;
  readonly changedStock: boolean;
  readonly occurredAtMs: number;
  /** The product is delisted: it has neither price nor stock. */
  readonly isDeleted: boolean;
  /** NaN = none. */
  readonly price: number;
  /** NaN = none. */
  readonly stock: number;
  /** Seq of the state that price and stock are: that of the event, or newer. */
  readonly version: number;
}
