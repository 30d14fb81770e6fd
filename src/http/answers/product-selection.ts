/**
 * Products that were asked for by their ids, read in one turn of the event loop, or in a few where a
 * writer holds an entry. Main thread.
 */
import { isListed, type ProductRepository } from '../../store/product-repository.ts';
import type { NoteProduct } from './catalogue-page.ts';

export class ProductSelection {
  readonly #repository: ProductRepository;
  readonly #ids: readonly string[];
  readonly #note: NoteProduct;
  readonly #missing: string[] = [];
  #done = 0;

  /** Of an id given more than once, the first counts. Each product is noted when it is read, in order. */
  constructor(repository: ProductRepository, ids: readonly string[], note: NoteProduct) {
    this.#repository = repository;
    this.#ids = [...new Set(ids)];
    this.#note = note;
  }

  /** Reads on; false if an entry is busy: call it again on a later turn. */
  read(): boolean {
    for (; this.#done < this.#ids.length; this.#done++) {
      const id = this.#ids[this.#done];
      const result = this.#repository.read(id);
      if (result === 'busy') return false;
      if (result === 'found' && isListed(this.#repository.state)) {
        this.#note(id, this.#repository.state);
      } else {
        this.#missing.push(JSON.stringify(id));
      }
    }
    return true;
  }

  /** What was not found, each as JSON, once it is read. */
  get missing(): readonly string[] {
    return this.#missing;
  }
}
