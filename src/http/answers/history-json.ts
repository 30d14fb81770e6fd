/** The history of products as text: JSON, JSON lines, CSV. Main thread. */
import type { PastState, ProductPriorPrice } from '../../history/history-messages.ts';
import type { HistoryField, Mark } from '../../history/mark.ts';
import { timeText } from '../../time/microseconds.ts';

/** The first line of a history as CSV. */
export const HISTORY_CSV_HEADER = 'at,value,seq\r\n';

export function markJson({ atMs, value, seq }: Mark): string {
  return `{"at":${timeJson(atMs)},"value":${value},"seq":${seq}}`;
}

export function markCsv({ atMs, value, seq }: Mark): string {
  return `${timeText(atMs)},${value ?? ''},${seq}\r\n`;
}

export interface HistoryPageText {
  readonly id: string;
  readonly field: HistoryField;
  readonly entries: readonly Mark[];
  /** The cursor of the next page. */
  readonly next: string | undefined;
  readonly wholeFromMs: number;
  readonly place: number;
}

export function historyPageJson(page: HistoryPageText): string {
  const { id, field, entries, next, wholeFromMs, place } = page;
  return (
    `{"id":${JSON.stringify(id)},"field":"${field}","entries":[${entries.map(markJson).join(',')}]` +
    `,"next":${JSON.stringify(next ?? null)},"whole_from":${timeJson(wholeFromMs)},"history_seq":${place}}`
  );
}

/** A product as it was at `atMs`; `isComplete`: as far as is known, nothing is missing. */
export function pastStateJson(
  id: string,
  atMs: number,
  { price, stock, wholeFromMs }: PastState,
  isComplete: boolean,
  place: number,
): string {
  return (
    `{"id":${JSON.stringify(id)},"at":${timeJson(atMs)},"price":${price?.value ?? null},"stock":${stock?.value ?? null}` +
    `,"price_at":${timeJson(price?.atMs)},"stock_at":${timeJson(stock?.atMs)}` +
    `,"whole_from":${timeJson(wholeFromMs)},"complete":${isComplete},"history_seq":${place}}`
  );
}

/** A prior price; of a product that the history has not come to yet, what is known of it. */
export function priorPriceJson(
  { id, price, reduction }: Pick<ProductPriorPrice, 'id' | 'price' | 'reduction'>,
  isComplete: boolean,
  place: number,
): string {
  const end = `,"complete":${isComplete},"history_seq":${place}}`;
  const begin = `{"id":${JSON.stringify(id)},"price":${price},"reduced":${reduction !== undefined}`;
  if (reduction === undefined) {
    return `${begin},"reduced_at":null,"prior_price":null,"prior_price_at":null,"window":null,"younger":false${end}`;
  }
  const { atMs, fromMs, priorPrice, priorAtMs, isYounger } = reduction;
  return (
    `${begin},"reduced_at":${timeJson(atMs)},"prior_price":${priorPrice},"prior_price_at":${timeJson(priorAtMs)}` +
    `,"window":{"from":${timeJson(fromMs)},"to":${timeJson(atMs)}},"younger":${isYounger}${end}`
  );
}

/** null for what never was, or was since ever. */
function timeJson(ms: number | undefined): string {
  return ms === undefined || ms === Number.NEGATIVE_INFINITY ? 'null' : `"${timeText(ms)}"`;
}
