/**
 * Products as JSON text. Main thread; written by hand because this is every answer of the hot path.
 */
import type { ProductState } from '../../store/product-repository.ts';
import { timeText } from '../../time/microseconds.ts';

/** One product; an absent price or stock is null. `isFull` adds its version and its times. */
export function productJson(id: string, state: ProductState, isFull: boolean): string {
  const { price, stock } = state;
  const brief = `{"id":${JSON.stringify(id)},"price":${numberJson(price)},"stock":${numberJson(stock)}`;
  if (!isFull) return `${brief}}`;
  const { seq, priceAtMs, stockAtMs, updatedAtMs } = state;
  const priceAt = timeJson(priceAtMs);
  // Mostly one event set both, and writing a time is half the cost of a product.
  const stockAt = stockAtMs === priceAtMs ? priceAt : timeJson(stockAtMs);
  const times = `"price_at":${priceAt},"stock_at":${stockAt},"updated_at":${timeJson(updatedAtMs)}`;
  return `${brief},"seq":${seq},${times}}`;
}

function numberJson(value: number): string {
  return Number.isNaN(value) ? 'null' : String(value);
}

/** As timeText; null for a time before all times. */
function timeJson(ms: number): string {
  return ms === Number.NEGATIVE_INFINITY ? 'null' : `"${timeText(ms)}"`;
}
