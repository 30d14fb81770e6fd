/**
 * A gap: events that the history has not got and that the log does not have any more, because HISTORY was off,
 * or is new, or its database was down for longer than the log is kept. Then the products' store says what there is
 * now, and nothing says how it came about. Pure; the history's thread.
 *
 * Nothing is hidden: at the end of a gap the history says the same of each product as the store. Nothing is
 * invented: what may be missing before a value is said by since when its field is whole, which is what `complete`
 * and `whole_from` tell.
 *
 *      known ── 100@t1 ──┤ gap ├── the store:  120@t2  →  120 from t2; whole from t2, since only an event that is
 *                                                         older than t2 can have come and be lost
 *                                              100@t1  →  nothing; whole from t1, for the same reason
 *                                              no such product, or never a price  →  it was forgotten: no price
 *                                                         from the end of the gap; when it went, nobody knows
 *                                              90@t0   →  it was forgotten and came back: 90 from the end of the
 *                                                         gap; by event time 100 would still be in force
 */
import { type Mark, WHOLE } from './mark.ts';
import { putMark, type Run } from './run.ts';

/** A field as it is known, with what is not yet written. */
export interface FieldState {
  value: number | null;
  /** −Infinity = never set. */
  atMs: number;
  wholeFromMs: number;
  /** Not yet written; ascending. */
  marks: Mark[];
  /** The last run that is kept; null = not read yet. */
  tail: Run | undefined | null;
}

/** A product's present state, read from the store. */
export interface PresentState {
  readonly id: string;
  readonly seq: number;
  readonly price: number | null;
  readonly priceAtMs: number;
  readonly stock: number | null;
  readonly stockAtMs: number;
}

/** The moment of which the store tells. */
export interface GapEnd {
  readonly atMs: number;
  /** The last event that was applied then. */
  readonly seq: number;
  /** Whether products may have been forgotten meanwhile, or ever where nothing is known of before. */
  readonly hasForgotten: boolean;
}

/** Brings a product, known as of `version`, to its present state. */
export function fillGap(
  [price, stock]: readonly [FieldState, FieldState],
  version: number,
  present: PresentState,
  gap: GapEnd,
): void {
  // Nothing changed its state meanwhile, so that what was never said was not said in the gap either.
  const isSame = version === present.seq || !gap.hasForgotten;
  const { seq } = present;
  fillField(price, { atMs: present.priceAtMs, seq, value: present.price }, isSame, gap);
  fillField(stock, { atMs: present.stockAtMs, seq, value: present.stock }, isSame, gap);
}

/** Brings a product that is no more to that. */
export function fillGone(fields: readonly FieldState[], gap: GapEnd): void {
  for (const field of fields) putDown(field, null, gap);
}

function fillField(field: FieldState, present: Mark, isSame: boolean, gap: GapEnd): void {
  if (present.atMs === WHOLE) {
    if (!isSame || field.value !== null) putDown(field, null, gap);
    return;
  }
  if (present.atMs < field.atMs) {
    putMark(field.marks, present);
    putDown(field, present.value, gap);
    return;
  }
  const isKnown = present.atMs === field.atMs && present.value === field.value;
  if (!isKnown) putMark(field.marks, present);
  field.value = present.value;
  field.atMs = present.atMs;
  field.wholeFromMs = present.atMs;
}

/** Says what a field is at the end of the gap, and that it is whole from then on alone. */
function putDown(field: FieldState, value: number | null, { atMs, seq }: GapEnd): void {
  const downMs = Math.max(atMs, field.atMs);
  if (field.value !== value) {
    putMark(field.marks, { atMs: downMs, seq, value });
    field.value = value;
    field.atMs = downMs;
  }
  field.wholeFromMs = downMs;
}
