/** A change as clients of the feed see it: one JSON object, `Change` in the API's description. */
import { timeText } from '../time/microseconds.ts';
import type { Change } from './change.ts';

/** Both fields were written; most events do. */
const PRICE_AND_STOCK = '["price","stock"]';

export function changeJson(change: Change): string {
  return (
    `{"seq":${change.seq},"product_id":${JSON.stringify(change.productId)}` +
    `,"changed":${changedFields(change)}` +
    `,"occurred_at":"${timeText(change.occurredAtMs)}"` +
    `,"deleted":${change.isDeleted},"price":${numberOrNull(change.price)}` +
    `,"stock":${numberOrNull(change.stock)},"version":${change.version}}`
  );
}

function changedFields({ changedPrice, changedStock }: Change): string {
  if (changedPrice && changedStock) return PRICE_AND_STOCK;
  return changedPrice ? '["price"]' : '["stock"]';
}

function numberOrNull(value: number): string {
  return Number.isNaN(value) ? 'null' : String(value);
}
