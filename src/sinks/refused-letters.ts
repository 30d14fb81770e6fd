/**
 * The rows that one sink's database refuses, in the dead letters. The sink's own thread. Keeps in memory whose
 * products they are, so that a batch without any of them costs a look into an empty set.
 */
import { timeText } from '../time/microseconds.ts';
import type { RefusedRows } from './batch-writer.ts';
import type { DeadLetters } from './dead-letters.ts';
import type { ProductRow } from './sink.ts';

export class RefusedLetters implements RefusedRows {
  readonly #letters: DeadLetters;
  readonly #source: string;
  readonly #products: Set<string>;

  constructor(letters: DeadLetters, source: string) {
    this.#letters = letters;
    this.#source = source;
    this.#products = new Set(letters.productsOf(source));
  }

  refuse(row: ProductRow, error: unknown): boolean {
    const { message = String(error), code = '' } = (error ?? {}) as {
      readonly message?: string;
      readonly code?: unknown;
    };
    const isKept = this.#letters.put({
      source: this.#source,
      productId: row.id,
      seq: row.seq,
      content: JSON.stringify(contentOf(row)),
      code: String(code),
      reason: message,
    });
    if (isKept) this.#products.add(row.id);
    return isKept;
  }

  isRefused(productId: string): boolean {
    return this.#products.has(productId);
  }

  settle(rows: readonly ProductRow[]): void {
    if (this.#products.size === 0) return;
    for (const { id, seq } of rows) {
      if (!this.#products.has(id)) continue;
      this.#letters.settle(this.#source, id, seq);
      this.#products.delete(id);
    }
  }
}

/** As the API names it. */
function contentOf({ price, stock, priceAtMs, stockAtMs, updatedAtMs }: ProductRow): object {
  return {
    price,
    stock,
    price_at: priceAtMs === null ? null : timeText(priceAtMs),
    stock_at: stockAtMs === null ? null : timeText(stockAtMs),
    updated_at: timeText(updatedAtMs),
  };
}
