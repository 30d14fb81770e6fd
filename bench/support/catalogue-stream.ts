/**
 * A stream that goes through a whole catalogue again and again: first in its order, which brings
 * every product in, then each time in the same random order. What the store must hold after any
 * number of events is plain arithmetic, so long runs are checked without going over them again.
 * Any thread; pure.
 */
import type { FullEvent } from '../../src/event/product-event.ts';
import type { ProductRepository } from '../../src/store/product-repository.ts';
import { type EventStream, productIds, verifyProduct } from './event-stream.ts';
import { createRandom } from './random.ts';

/** 2026-01-01T00:00:00Z; event times count up from it, one millisecond for each event. */
const FIRST_AT_MS = 1_767_225_600_000;

export class CatalogueStream implements EventStream {
  /** Ids in the order of all passes but the first; strings of their own, as requests bring them. */
  readonly shuffledIds: readonly string[];
  readonly #ids: readonly string[];
  /** Position of each product, by its number, in these passes. */
  readonly #positions: Int32Array;
  #sent = 0;

  constructor(seed: number, products: number) {
    const random = createRandom(seed);
    const order = Int32Array.from({ length: products }, (_, i) => i);
    for (let i = products - 1; i > 0; i--) {
      const j = random() % (i + 1);
      const product = order[i];
      order[i] = order[j];
      order[j] = product;
    }
    this.#ids = productIds(products);
    this.#positions = new Int32Array(products);
    order.forEach((product, position) => {
      this.#positions[product] = position;
    });
    const shuffled = Array.from(order, (product) => this.#ids[product]);
    this.shuffledIds = JSON.parse(JSON.stringify(shuffled));
  }

  /** Events handed out so far. */
  get sent(): number {
    return this.#sent;
  }

  next(): FullEvent {
    const n = this.#sent++;
    const count = this.#ids.length;
    const productId = n < count ? this.#ids[n] : this.shuffledIds[n % count];
    return { productId, ...valueAt(n) };
  }

  /** What a product must be after all events so far; at least one pass was handed out. */
  expected(product: number): FullEvent {
    const count = this.#ids.length;
    const position = this.#positions[product];
    const last = this.#sent - 1 - ((this.#sent - 1 - position) % count);
    return { productId: this.#ids[product], ...valueAt(last < count ? product : last) };
  }

  /** Throws unless every product reads back as it must. */
  verify(products: ProductRepository): void {
    for (let product = 0; product < this.#ids.length; product++) {
      verifyProduct(products, this.expected(product));
    }
  }
}

/** What the event number `n` says. */
function valueAt(n: number): { price: number; stock: number; occurredAtMs: number } {
  return { price: (n % 1_000_000) / 100, stock: n, occurredAtMs: FIRST_AT_MS + n };
}
