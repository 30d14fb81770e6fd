/**
 * The price that a shop in the EU shows beside a reduced one: the lowest price applied in the days before
 * the reduction (Directive 98/6/EC, Article 6a). Pure; any thread.
 *
 *      120 ┐        ┌ 110 ┐
 *          └─ 100 ──┘     └─ 90 ─ … now       reduced_at: when 90 began; the window ends there, and
 *     ◀────── days ──────▶                    what is in force when it opens (120) counts: 100
 *
 * The rules, each a row of test/history/prior-price-cases.ts:
 *  - A reduction is a price below the one in force before it. A rise ends it. The same price again,
 *    said once more or after a delisting, is neither.
 *  - The days are counted back from the reduction, not from today; the reduced price itself is not in them.
 *  - In delisted spans no price is applied. A product that was delisted all through the window has no
 *    prior price: it comes back as new, and is not reduced.
 *  - `gradual` (Article 6a(5)): of reductions that followed each other without a rise the first one
 *    counts, and the prior price is the one in force just before it.
 *  - Without any price before the window opened the product is younger than the window (Article 6a(4)).
 */
import { type Mark, WHOLE } from './mark.ts';

export const DAY_MS = 24 * 60 * 60 * 1000;

export interface PriorPriceRule {
  /** How far the window reaches back from the reduction. */
  readonly days: number;
  /** Whether a reduction that was increased step by step counts from its first step. */
  readonly gradual: boolean;
}

export interface PriorPrice {
  /** The price in force now; null = absent. */
  readonly price: number | null;
  /** `undefined` where it is not a reduced one. */
  readonly reduction: Reduction | undefined;
  /** False where the history does not reach back far enough to be sure of all this. */
  readonly isWhole: boolean;
}

export interface Reduction {
  /** When the reduced price began: where the window ends. */
  readonly atMs: number;
  /** Where the window opens. */
  readonly fromMs: number;
  readonly priorPrice: number;
  /** Since when that price was in force. */
  readonly priorAtMs: number;
  /** As far as the history reaches, the product had no price before the window opened. */
  readonly isYounger: boolean;
}

/** One price, from the moment it began until another one or a delisting followed. */
interface Span {
  readonly price: number;
  fromMs: number;
  readonly toMs: number;
}

/**
 * `marks` are those of the price, newest first; no more of them are read than it takes. `wholeFromMs`:
 * since when none is missing.
 */
export function priorPrice(
  marks: Iterable<Mark>,
  wholeFromMs: number,
  { days, gradual }: PriorPriceRule,
): PriorPrice {
  const spans = new Spans(marks);
  const current = spans.next();
  // Delisted, or never priced.
  if (current === undefined || current.toMs !== Number.POSITIVE_INFINITY) {
    return {
      price: null,
      reduction: undefined,
      isWhole: current !== undefined || wholeFromMs === WHOLE,
    };
  }
  const { price } = current;
  const windowMs = days * DAY_MS;
  let atMs = current.fromMs;
  let before = spans.next();
  if (!isReduced(before, price, atMs - windowMs)) {
    const isWhole = isCertain(before, atMs - windowMs, wholeFromMs);
    return { price, reduction: undefined, isWhole };
  }
  let next = spans.next();
  while (gradual && isReduced(next, before.price, before.fromMs - windowMs)) {
    atMs = before.fromMs;
    before = next;
    next = spans.next();
  }
  const beforeThat = next;
  const fromMs = atMs - windowMs;
  let prior = before;
  let oldest = before;
  for (; next !== undefined && oldest.fromMs > fromMs; next = spans.next()) {
    if (!gradual && next.toMs > fromMs && next.price < prior.price) prior = next;
    oldest = next;
  }
  const reduction = {
    atMs,
    fromMs,
    priorPrice: prior.price,
    priorAtMs: prior.fromMs,
    isYounger: wholeFromMs <= fromMs && oldest.fromMs > fromMs,
  };
  // That a step is the first one is known by what was before the price before it.
  const isWhole = gradual
    ? isCertain(beforeThat, before.fromMs - windowMs, wholeFromMs)
    : wholeFromMs <= fromMs;
  return { price, reduction, isWhole };
}

/** Whether `price` is less than what was in force before, at some time after the window opened. */
function isReduced(before: Span | undefined, price: number, fromMs: number): before is Span {
  return before !== undefined && before.price > price && before.toMs > fromMs;
}

/**
 * Whether no other price than `before` can have been the last one since the window opened: nothing is missing
 * since then, or since a moment at which that price was in force, from which on all is known.
 */
function isCertain(before: Span | undefined, fromMs: number, wholeFromMs: number): boolean {
  return wholeFromMs <= fromMs || (before !== undefined && wholeFromMs < before.toMs);
}

/** The spans of a field's marks, newest first: equal neighbours are one, also across a delisting. */
class Spans {
  readonly #marks: Iterator<Mark>;
  #next: Span | undefined;
  /** When the mark before, which is the later one, began. */
  #toMs = Number.POSITIVE_INFINITY;

  constructor(marks: Iterable<Mark>) {
    this.#marks = marks[Symbol.iterator]();
  }

  next(): Span | undefined {
    for (;;) {
      const { done, value: mark } = this.#marks.next();
      const span = this.#next;
      if (done === true) {
        this.#next = undefined;
        return span;
      }
      const toMs = this.#toMs;
      this.#toMs = mark.atMs;
      if (mark.value === null) continue;
      if (span?.price === mark.value) {
        span.fromMs = mark.atMs;
        continue;
      }
      this.#next = { price: mark.value, fromMs: mark.atMs, toMs };
      if (span !== undefined) return span;
    }
  }
}
