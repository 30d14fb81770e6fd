/**
 * Products that were asked for by their ids, read in one turn of the event loop, or in a few where a
 * writer holds an entry. Main thread.
 */
import { isListed, type ProductRepository } from '../../store/product-repository.ts';
import { productJson } from './product-json.ts';

export class ProductSelection {
  readonly #repository: ProductRepository;
  readonly #ids: readonly string[];
  readonly #isFull: boolean;
  readonly #products: string[] = [];
  readonly #missing: string[] = [];
  #done = 0;

  /** Of an id given more than once, the first counts. */
  constructor(repository: ProductRepository, ids: readonly string[], isFull: boolean) {
    this.#repository = repository;
    this.#ids = [...new Set(ids)];
    this.#isFull = isFull;
  }

  /** Reads on; false if an entry is busy: call it again on a later turn. */
  read(): boolean {
    for (; this.#done < this.#ids.length; this.#done++) {
      const id = this.#ids[this.#done];
      const result = this.#repository.read(id);
      if (result === 'busy') return false;
      if (result === 'found' && isListed(this.#repository.state)) {
        this.#products.push(productJson(id, this.#repository.state, this.#isFull));
      } else {
        this.#missing.push(JSON.stringify(id));
      }
    }
    return true;
  }

  /** What was found and what not, as JSON, once it is read. */
  get json(): string {
    return `{"products":[${this.#products.join(',')}],"missing":[${this.#missing.join(',')}]}`;
  }
}
