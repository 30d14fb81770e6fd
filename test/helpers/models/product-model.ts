/**
 * What the store must hold, said with a plain Map: the merge rule in ten lines. Tests only.
 */
import type { SharedProductStore } from '../../../src/store/shared-product-store.ts';
import type { PlainEvent } from './plain-event.ts';

export interface ModelProduct {
  readonly seq: number;
  readonly price: number;
  readonly stock: number;
  readonly priceAtMs: number;
  readonly stockAtMs: number;
  readonly updatedAtMs: number;
}

const NEVER = Number.NEGATIVE_INFINITY;
const ABSENT = Number.NaN;

function isListed(product: ModelProduct | undefined): boolean {
  return product !== undefined && !(Number.isNaN(product.price) && Number.isNaN(product.stock));
}

export class ProductModel {
  readonly products = new Map<string, ModelProduct>();

  copy(): ProductModel {
    const copy = new ProductModel();
    for (const [id, product] of this.products) copy.products.set(id, product);
    return copy;
  }

  /**
   * Merges one event, committed at `commitTimeMs`: a field never goes back in event time, and an event
   * that has only its arrival comes after everything before it. Returns what became of it.
   */
  apply(event: PlainEvent, commitTimeMs: number): 'applied' | 'stale' | 'refused' | 'receipt' {
    if (event.receipt !== undefined) return 'receipt';
    const { productId, isDelete = false, expectedSeq = 0, isArrival = false, seq } = event;
    const price = isDelete ? ABSENT : event.price;
    const stock = isDelete ? ABSENT : event.stock;
    const old = this.products.get(productId);
    if (event.isForget === true) {
      if (old?.seq === expectedSeq && !isListed(old)) this.products.delete(productId);
      return 'receipt';
    }
    if (expectedSeq === -2 && isListed(old)) return 'refused';
    if (expectedSeq !== 0 && expectedSeq !== -2 && !isListed(old)) return 'refused';
    if (expectedSeq > 0 && expectedSeq !== old?.seq) return 'refused';
    const { priceAtMs = NEVER, stockAtMs = NEVER } = old ?? {};
    const atAfter = (beforeMs: number) =>
      isArrival ? Math.max(event.occurredAtMs, beforeMs) : event.occurredAtMs;
    const takesPrice = price !== undefined && atAfter(priceAtMs) >= priceAtMs;
    const takesStock = stock !== undefined && atAfter(stockAtMs) >= stockAtMs;
    if (old !== undefined && !takesPrice && !takesStock) return 'stale';
    this.products.set(productId, {
      seq,
      price: takesPrice ? price : (old?.price ?? ABSENT),
      stock: takesStock ? stock : (old?.stock ?? ABSENT),
      priceAtMs: takesPrice ? atAfter(priceAtMs) : priceAtMs,
      stockAtMs: takesStock ? atAfter(stockAtMs) : stockAtMs,
      updatedAtMs: commitTimeMs,
    });
    return 'applied';
  }
}

/** What the store says about `productId`, in the model's terms: a forgotten one is missing. */
export function readProduct(
  store: SharedProductStore,
  productId: string,
): ModelProduct | 'missing' | 'busy' {
  const answer = store.read(productId);
  if (answer !== 'found') return answer;
  const { seq, price, stock, priceAtMs, stockAtMs, updatedAtMs } = store.state;
  if (priceAtMs === NEVER && stockAtMs === NEVER) return 'missing';
  return { seq, price, stock, priceAtMs, stockAtMs, updatedAtMs };
}
