/**
 * The seam between HTTP and the data for whoever goes through all products. Implemented by
 * `shared-product-store.ts`; runs on the main thread, never waits for a writer.
 *
 * Entries are never moved, and new ones are appended to their shard or take the place of a forgotten
 * product. So a walk in the order of shards and entries meets every product that was there when it began, and
 * stays, exactly once, however long it takes and whatever is written meanwhile. A product that comes meanwhile
 * it meets once or not; one that is delisted, forgotten and comes again meanwhile counts as two.
 */
import type { ProductState } from './product-repository.ts';

/** A place in the catalogue: before entry `entry` of shard `shard`. Means nothing to another start. */
export interface CataloguePlace {
  readonly shard: number;
  readonly entry: number;
}

/**
 * - `found`: `id` and `state` are those of one more product.
 * - `delisted`: one more entry, of a product that is not listed.
 * - `busy`: a writer held the next entry for the whole bounded number of tries; ask again on a later
 *   turn of the event loop.
 * - `end`: there are no more entries.
 */
export type WalkStep = 'found' | 'delisted' | 'busy' | 'end';

export interface CatalogueWalk {
  /** The product that the last `next` found. */
  readonly id: string;
  /** One committed state of it. The instance is reused by the next `next`: copy what you keep. */
  readonly state: ProductState;
  /** Where another walk goes on; `undefined` at the end. */
  readonly place: CataloguePlace | undefined;
  /** Passes one entry. Never blocks. */
  next(): WalkStep;
}

export interface ProductCatalogue {
  /** A walk from the first entry. */
  walk(): CatalogueWalk;
  /** A walk that goes on at `place`; `undefined` if there is no such place here. */
  walkFrom(place: CataloguePlace): CatalogueWalk | undefined;
}
