/**
 * The seam between HTTP and the data: what a route may ask of the product store.
 * Implemented by `shared-product-store.ts`; runs on the main thread, never waits for a writer.
 */

/** One committed state of a product. The instance is reused by the next `read`: copy what you keep. */
export interface ProductState {
  /** The number of the event that last changed the product (its version, its ETag). */
  readonly seq: number;
  /** NaN = absent: never set, or delisted since. A product with both absent is not listed. */
  readonly price: number;
  /** NaN = absent, as for the price. */
  readonly stock: number;
  /** Event time (ms since the epoch) that set the price; −Infinity while it was never set. */
  readonly priceAtMs: number;
  /** Event time (ms since the epoch) that set the stock; −Infinity while it was never set. */
  readonly stockAtMs: number;
  /** Commit time (ms since the epoch) of the event that last changed the product. */
  readonly updatedAtMs: number;
}

/** Whether the API shows the product: without a price and a stock it never came or was delisted. */
export function isListed({ price, stock }: ProductState): boolean {
  return !(Number.isNaN(price) && Number.isNaN(stock));
}

/**
 * - `found`: `state` holds one committed state of the product, which may be that it is not listed.
 * - `missing`: no event of this product was applied yet.
 * - `busy`: a writer held the entry for the whole bounded number of tries; read again on a later
 *   turn of the event loop.
 */
export type ReadResult = 'found' | 'missing' | 'busy';

export interface ProductRepository {
  /** What the last `read` that answered `found` saw. */
  readonly state: ProductState;
  /** Reads one product by id (any string; one that can't be an id is `missing`). Never blocks. */
  read(productId: string): ReadResult;
}
