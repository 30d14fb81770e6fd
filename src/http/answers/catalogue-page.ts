/**
 * One page of the catalogue, read in one turn of the event loop, or in a few where a writer holds an
 * entry. Main thread.
 */
import type { CataloguePlace, CatalogueWalk } from '../../store/product-catalogue.ts';
import type { ProductState } from '../../store/product-repository.ts';

/** Takes a product; this call is all that will be said of it. */
export type NoteProduct = (id: string, state: ProductState) => void;

/** A page ends here even if fewer products than its limit were listed: one turn's work is bounded. */
export const PAGE_ENTRIES_MAX = 4096;

export class CataloguePage {
  readonly #walk: CatalogueWalk;
  readonly #limit: number;
  readonly #note: NoteProduct;
  #found = 0;
  #passed = 0;

  /** Each product of the page is noted when it is read, in order. */
  constructor(walk: CatalogueWalk, limit: number, note: NoteProduct) {
    this.#walk = walk;
    this.#limit = limit;
    this.#note = note;
  }

  /** Reads on; false if an entry is busy: call it again on a later turn. */
  read(): boolean {
    const walk = this.#walk;
    while (this.#found < this.#limit && this.#passed < PAGE_ENTRIES_MAX) {
      const step = walk.next();
      if (step === 'busy') return false;
      if (step === 'end') return true;
      this.#passed++;
      if (step !== 'found') continue;
      this.#found++;
      this.#note(walk.id, walk.state);
    }
    return true;
  }

  /** Where the next page begins, once this one is read; `undefined` = nowhere. */
  get next(): CataloguePlace | undefined {
    return this.#walk.place;
  }
}
