/**
 * What the store must hold, said with a plain Map: the merge rule in ten lines. Tests only.
 */
import type { SharedProductStore } from '../../src/store/shared-product-store.ts';
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
   * Merges one event, committed at `commitTimeMs`: a field never goes back in event time. Returns
   * what became of it.
   */
  apply(event: PlainEvent, commitTimeMs: number): 'applied' | 'stale' | 'refused' | 'receipt' {
    if (event.receipt !== undefined) return 'receipt';
    const { productId, isDelete = false, expectedSeq = 0, occurredAtMs: at, seq } = event;
    const price = isDelete ? ABSENT : event.price;
    const stock = isDelete ? ABSENT : event.stock;
    const old = this.products.get(productId);
    if (expectedSeq !== 0 && !isListed(old)) return 'refused';
    if (expectedSeq > 0 && expectedSeq !== old?.seq) return 'refused';
    const takesPrice = price !== undefined && at >= (old?.priceAtMs ?? NEVER);
    const takesStock = stock !== undefined && at >= (old?.stockAtMs ?? NEVER);
    if (old !== undefined && !takesPrice && !takesStock) return 'stale';
    this.products.set(productId, {
      seq,
      price: takesPrice ? price : (old?.price ?? ABSENT),
      stock: takesStock ? stock : (old?.stock ?? ABSENT),
      priceAtMs: takesPrice ? at : (old?.priceAtMs ?? NEVER),
      stockAtMs: takesStock ? at : (old?.stockAtMs ?? NEVER),
      updatedAtMs: commitTimeMs,
    });
    return 'applied';
  }
}

/** What the store says about `productId`, in the model's terms; the answer itself if not `found`. */
export function readProduct(
  store: SharedProductStore,
  productId: string,
): ModelProduct | 'missing' | 'busy' {
  const answer = store.read(productId);
  if (answer !== 'found') return answer;
  const { seq, price, stock, priceAtMs, stockAtMs, updatedAtMs } = store.state;
  return { seq, price, stock, priceAtMs, stockAtMs, updatedAtMs };
}
