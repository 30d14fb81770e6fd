/** Takes out of the history's file what HISTORY doesn't keep, some products at a time (HistoryStore.prune). The history's thread. */
import type { Database } from '../../sqlite/database.ts';
import { FIELD_NUMBERS, type FieldNumber } from '../mark.ts';

const PRODUCTS_AT_A_TIME = 256;

export class HistoryPruning {
  readonly #database: Database;
  readonly #next;
  readonly #base;
  readonly #removeOlder;
  readonly #wholeFrom;
  readonly #removeProduct;
  readonly #removeRuns;
  readonly #setPrunedTo;

  constructor(database: Database) {
    this.#database = database;
    this.#next = database.prepare(
      'SELECT no, price, price_at, stock, stock_at FROM products WHERE no > ? ORDER BY no LIMIT ?',
    );
    this.#base = database.prepare(
      'SELECT max(at) AS at FROM runs WHERE product = ? AND field = ? AND at <= ?',
    );
    this.#removeOlder = database.prepare(
      'DELETE FROM runs WHERE product = ? AND field = ? AND at < ?',
    );
    this.#wholeFrom = [
      database.prepare('UPDATE products SET price_whole_from = ? WHERE no = ?'),
      database.prepare('UPDATE products SET stock_whole_from = ? WHERE no = ?'),
    ];
    this.#removeProduct = database.prepare('DELETE FROM products WHERE no = ?');
    this.#removeRuns = database.prepare('DELETE FROM runs WHERE product = ?');
    this.#setPrunedTo = database.prepare('UPDATE place SET pruned_to = max(pruned_to, ?)');
  }

  /** Prunes some products behind `afterNo`; returns the last of them, `undefined` when there are no more. */
  step(horizonMs: number, afterNo: number): number | undefined {
    return this.#database.transaction(() => {
      // Before the first product goes: one that comes back has to be known from a new one.
      this.#setPrunedTo.run(horizonMs);
      const products = this.#next.all(afterNo, PRODUCTS_AT_A_TIME);
      for (const product of products) {
        const isGone =
          product.price === null &&
          product.stock === null &&
          Math.max(product.price_at as number, product.stock_at as number) < horizonMs;
        if (isGone) {
          this.#removeRuns.run(product.no as number);
          this.#removeProduct.run(product.no as number);
        } else {
          for (const field of FIELD_NUMBERS) this.#prune(product.no as number, field, horizonMs);
        }
      }
      const last = products.at(-1);
      return products.length < PRODUCTS_AT_A_TIME ? undefined : (last?.no as number);
    });
  }

  #prune(product: number, field: FieldNumber, horizonMs: number): void {
    const base = this.#base.get(product, field, horizonMs)?.at as number | null;
    if (base === null) return;
    if (this.#removeOlder.run(product, field, base) === 0) return;
    this.#wholeFrom[field].run(base, product);
  }
}
