/**
 * A history as slow and as plain as can be: all that was ever said in one list, and each question
 * answered by looking at every moment anew. Told from the words of the directive, not from the code.
 */
import { type Mark, WHOLE } from '../../src/history/mark.ts';
import { DAY_MS, type PriorPrice, type PriorPriceRule } from '../../src/history/prior-price.ts';

/** What `marks`, in any order, say of the moment `atMs`; `undefined` before the first. */
export function markAt(marks: readonly Mark[], atMs: number): Mark | undefined {
  let best: Mark | undefined;
  for (const mark of marks) {
    if (mark.atMs > atMs) continue;
    const isLater = best === undefined || mark.atMs > best.atMs;
    if (isLater || (mark.atMs === best?.atMs && mark.seq > best.seq)) best = mark;
  }
  return best;
}

/** Moments at which something was said, ascending. */
export function momentsOf(marks: readonly Mark[]): number[] {
  return [...new Set(marks.map(({ atMs }) => atMs))].sort((a, b) => a - b);
}

/** One mark for each moment, newest first. */
export function newestFirst(marks: readonly Mark[]): Mark[] {
  return momentsOf(marks)
    .toReversed()
    .map((atMs) => markAt(marks, atMs) as Mark);
}

/** One mark for each time that the value became another one, oldest first. */
export function changesOf(marks: readonly Mark[]): Mark[] {
  const changes: Mark[] = [];
  for (const mark of newestFirst(marks).toReversed()) {
    if (changes.length === 0 || changes.at(-1)?.value !== mark.value) changes.push(mark);
  }
  return changes;
}

/** The moments in [from, to) that need a look: when it opens, and whenever something was said. */
function looks(marks: readonly Mark[], fromMs: number, toMs: number): number[] {
  return [fromMs, ...momentsOf(marks).filter((atMs) => atMs > fromMs && atMs < toMs)];
}

function pricesIn(marks: readonly Mark[], fromMs: number, toMs: number): number[] {
  return looks(marks, fromMs, toMs)
    .map((atMs) => markAt(marks, atMs)?.value ?? null)
    .filter((price) => price !== null);
}

/** The last price that was applied before `atMs`, however long ago. */
function priceBefore(marks: readonly Mark[], atMs: number): number | undefined {
  const before = momentsOf(marks).filter((each) => each < atMs);
  for (const each of before.toReversed()) {
    const price = markAt(marks, each)?.value ?? null;
    if (price !== null) return price;
  }
  return undefined;
}

/** When the price that is in force at `atMs`, or was last before it, began, delistings passed over. */
function beganAt(marks: readonly Mark[], atMs: number, price: number): number {
  let began = atMs;
  for (const each of momentsOf(marks).toReversed()) {
    if (each > atMs) continue;
    const value = markAt(marks, each)?.value ?? null;
    if (value === null) continue;
    if (value !== price) break;
    began = each;
  }
  return began;
}

export function slowPriorPrice(
  marks: readonly Mark[],
  wholeFromMs: number,
  { days, gradual }: PriorPriceRule,
): PriorPrice {
  const windowMs = days * DAY_MS;
  const price = markAt(marks, Number.POSITIVE_INFINITY)?.value ?? null;
  if (price === null) {
    const everPriced = marks.length > 0 && priceBefore(marks, Number.POSITIVE_INFINITY);
    return {
      price,
      reduction: undefined,
      isWhole: (everPriced !== false && everPriced !== undefined) || wholeFromMs === WHOLE,
    };
  }
  const isReduction = (atMs: number, to: number): boolean => {
    const before = priceBefore(marks, atMs);
    const hadOne = pricesIn(marks, atMs - windowMs, atMs).length > 0;
    return before !== undefined && before > to && hadOne;
  };
  /** Whether a price that is not known can have been the last one before `atMs`. */
  const isCertain = (atMs: number): boolean => {
    if (wholeFromMs <= atMs - windowMs) return true;
    return wholeFromMs < atMs && pricesIn(marks, wholeFromMs, atMs).length > 0;
  };
  let atMs = beganAt(marks, Number.POSITIVE_INFINITY, price);
  if (!isReduction(atMs, price)) {
    return { price, reduction: undefined, isWhole: isCertain(atMs) };
  }
  let justBefore = priceBefore(marks, atMs) as number;
  let justBeforeAt = beganAt(marks, atMs - 1, justBefore);
  while (gradual && isReduction(justBeforeAt, justBefore)) {
    atMs = justBeforeAt;
    justBefore = priceBefore(marks, atMs) as number;
    justBeforeAt = beganAt(marks, atMs - 1, justBefore);
  }
  const fromMs = atMs - windowMs;
  const lowest = Math.min(...pricesIn(marks, fromMs, atMs));
  const lowestLook = looks(marks, fromMs, atMs).findLast(
    (look) => markAt(marks, look)?.value === lowest,
  ) as number;
  const hadPriceBefore = priceBefore(marks, fromMs + 1) !== undefined;
  return {
    price,
    reduction: {
      atMs,
      fromMs,
      priorPrice: gradual ? justBefore : lowest,
      priorAtMs: gradual ? justBeforeAt : beganAt(marks, lowestLook, lowest),
      isYounger: wholeFromMs <= fromMs && !hadPriceBefore,
    },
    isWhole: gradual ? isCertain(justBeforeAt) : wholeFromMs <= fromMs,
  };
}
