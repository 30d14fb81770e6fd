/**
 * The words of the history. Types and pure functions, any thread.
 *
 * A mark is what one event said about one field: from `atMs` on, by event time, it was `value`. All marks
 * of a field, in the order of their times, are its history; at one moment the later seq is the newer word,
 * as in the store. So which order the events came in makes no difference but for equal times.
 */

/** The fields that have a history. The numbers stand in the database: never change them. */
export const FIELDS = ['price', 'stock'] as const;
export type HistoryField = (typeof FIELDS)[number];
export const FIELD_PRICE = 0;
export const FIELD_STOCK = 1;
export type FieldNumber = typeof FIELD_PRICE | typeof FIELD_STOCK;
export const FIELD_NUMBERS: readonly FieldNumber[] = [FIELD_PRICE, FIELD_STOCK];

export interface Mark {
  /** Event time, ms since the epoch, µs behind the point. */
  readonly atMs: number;
  /** Of the event that said it. */
  readonly seq: number;
  /** null = absent: delisted. */
  readonly value: number | null;
}

/** Where nothing is missing of a field, since before its first mark. */
export const WHOLE = Number.NEGATIVE_INFINITY;
