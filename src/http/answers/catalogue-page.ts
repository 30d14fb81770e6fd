/**
 * One page of the catalogue, read in one turn of the event loop, or in a few where a writer holds an
 * entry. Main thread.
 */
import type { CataloguePlace, CatalogueWalk } from '../../store/product-catalogue.ts';
import { productJson } from './product-json.ts';

/** A page ends here even if fewer products than its limit were listed: one turn's work is bounded. */
export const PAGE_ENTRIES_MAX = 4096;

export class CataloguePage {
  readonly #walk: CatalogueWalk;
  readonly #limit: number;
  readonly #isFull: boolean;
  readonly #products: string[] = [];
  #passed = 0;

  constructor(walk: CatalogueWalk, limit: number, isFull: boolean) {
    this.#walk = walk;
    this.#limit = limit;
    this.#isFull = isFull;
  }

  /** Reads on; false if an entry is busy: call it again on a later turn. */
  read(): boolean {
    const walk = this.#walk;
    while (this.#products.length < this.#limit && this.#passed < PAGE_ENTRIES_MAX) {
      const step = walk.next();
      if (step === 'busy') return false;
      if (step === 'end') return true;
      this.#passed++;
      if (step === 'found') this.#products.push(productJson(walk.id, walk.state, this.#isFull));
    }
    return true;
  }

  /** The page as JSON, once it is read; `encode` makes the text of its cursor. */
  json(encode: (place: CataloguePlace) => string): string {
    const { place } = this.#walk;
    const next = place === undefined ? null : encode(place);
    return `{"products":[${this.#products.join(',')}],"next":${JSON.stringify(next)}}`;
  }
}
