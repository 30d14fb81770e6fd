/**
 * What the prior price is, case by case; written before the code. Days are event time, in days since
 * 2026-01-01; events stand in the order in which they come. `null` is a delisting, or a price that is not
 * set. Each case also holds in every other order of its events (different times), as the test tries.
 * (Over 300 lines: one table.)
 */

import { DAY_MS, type PriorPrice } from '../../src/history/prior-price.ts';

/** Day, price. */
export type Said = readonly [number, number | null];

export interface Expected {
  readonly price: number | null;
  /** Day of the reduction; `null` = not reduced, and then the rest is left out. */
  readonly reducedAt: number | null;
  readonly prior?: number;
  readonly priorAt?: number;
  /** Day on which the window opens. */
  readonly from?: number;
  readonly younger?: boolean;
  /** True unless given. */
  readonly whole?: boolean;
}

export interface Case {
  readonly name: string;
  readonly said: readonly Said[];
  readonly days?: number;
  readonly gradual?: boolean;
  /** Since which day nothing is missing; always, unless given. */
  readonly wholeFrom?: number;
  readonly expected: Expected;
}

const EPOCH_MS = Date.UTC(2026, 0, 1);

export function atDay(day: number): number {
  return EPOCH_MS + day * DAY_MS;
}

export function expectedOf({ price, whole = true, ...of }: Expected): PriorPrice {
  if (of.reducedAt === null) return { price, reduction: undefined, isWhole: whole };
  const { prior = Number.NaN, priorAt = Number.NaN, from = Number.NaN, younger = false } = of;
  const reduction = {
    atMs: atDay(of.reducedAt),
    fromMs: atDay(from),
    priorPrice: prior,
    priorAtMs: atDay(priorAt),
    isYounger: younger,
  };
  return { price, reduction, isWhole: whole };
}

/** All orders of `items`. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]];
  return items.flatMap((item, i) =>
    permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]),
  );
}

const NOT = { reducedAt: null } as const;

export const CASES: readonly Case[] = [
  {
    name: 'one reduction: the price before it',
    said: [
      [0, 100],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 100, priorAt: 0, from: 30 },
  },
  { name: 'no price was ever said', said: [], expected: { price: null, ...NOT } },
  { name: 'one price alone', said: [[0, 100]], expected: { price: 100, ...NOT } },
  {
    name: 'a rise',
    said: [
      [0, 80],
      [60, 100],
    ],
    expected: { price: 100, ...NOT },
  },
  {
    name: 'a rise after a reduction ends it',
    said: [
      [0, 100],
      [50, 80],
      [60, 90],
    ],
    expected: { price: 90, ...NOT },
  },
  {
    name: 'the lowest price of the window counts, not the one just before',
    said: [
      [0, 120],
      [40, 100],
      [50, 110],
      [60, 90],
    ],
    expected: { price: 90, reducedAt: 60, prior: 100, priorAt: 40, from: 30 },
  },
  {
    name: 'the price in force when the window opens counts',
    said: [
      [0, 70],
      [31, 110],
      [60, 90],
    ],
    expected: { price: 90, reducedAt: 60, prior: 70, priorAt: 0, from: 30 },
  },
  {
    name: 'what ended just when the window opens does not count',
    said: [
      [0, 70],
      [30, 110],
      [60, 90],
    ],
    expected: { price: 90, reducedAt: 60, prior: 110, priorAt: 30, from: 30 },
  },
  {
    name: 'a rise within the window: the lower price before it counts',
    said: [
      [0, 100],
      [40, 75],
      [45, 100],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 75, priorAt: 40, from: 30 },
  },
  {
    name: 'raised for a week to be reduced again: the prior price is the present one',
    said: [
      [0, 80],
      [53, 100],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 80, priorAt: 0, from: 30 },
  },
  {
    name: 'the reduced price itself does not count, however long it lasts',
    said: [
      [0, 100],
      [10, 60],
    ],
    expected: { price: 60, reducedAt: 10, prior: 100, priorAt: 0, from: -20, younger: true },
  },
  {
    name: 'the days before the reduction, not the last days: it was reduced long ago',
    said: [
      [-400, 100],
      [-300, 60],
      [-200, 100],
      [0, 90],
    ],
    expected: { price: 90, reducedAt: 0, prior: 100, priorAt: -200, from: -30 },
  },
  {
    name: 'two steps without gradual: the second is compared with the first',
    said: [
      [0, 100],
      [50, 80],
      [60, 70],
    ],
    expected: { price: 70, reducedAt: 60, prior: 80, priorAt: 50, from: 30 },
  },
  {
    name: 'two steps with gradual: the price in force just before the first',
    said: [
      [0, 100],
      [50, 80],
      [60, 70],
    ],
    gradual: true,
    expected: { price: 70, reducedAt: 50, prior: 100, priorAt: 0, from: 20 },
  },
  {
    name: 'gradual over more than the window',
    said: [
      [0, 100],
      [50, 90],
      [100, 80],
      [150, 70],
    ],
    gradual: true,
    expected: { price: 70, reducedAt: 50, prior: 100, priorAt: 0, from: 20 },
  },
  {
    name: 'gradual: a rise in between begins anew',
    said: [
      [0, 100],
      [50, 80],
      [55, 85],
      [60, 75],
      [65, 70],
    ],
    gradual: true,
    expected: { price: 70, reducedAt: 60, prior: 85, priorAt: 55, from: 30 },
  },
  {
    name: 'gradual: just before the first, even if it was lower in the window',
    said: [
      [0, 90],
      [45, 100],
      [50, 80],
      [60, 70],
    ],
    gradual: true,
    expected: { price: 70, reducedAt: 50, prior: 100, priorAt: 45, from: 20 },
  },
  {
    name: 'gradual of a single step',
    said: [
      [0, 120],
      [45, 100],
      [60, 70],
    ],
    gradual: true,
    expected: { price: 70, reducedAt: 45, prior: 120, priorAt: 0, from: 15 },
  },
  {
    name: 'the same price said again changes nothing',
    said: [
      [0, 100],
      [20, 100],
      [50, 80],
      [55, 80],
      [90, 80],
    ],
    expected: { price: 80, reducedAt: 50, prior: 100, priorAt: 0, from: 20 },
  },
  {
    name: 'a late event takes its place in the past: it lowers the prior price',
    said: [
      [0, 100],
      [60, 80],
      [45, 70],
      [46, 100],
    ],
    expected: { price: 80, reducedAt: 60, prior: 70, priorAt: 45, from: 30 },
  },
  {
    name: 'a late event tells of a rise that ends the reduction',
    said: [
      [0, 100],
      [60, 80],
      [50, 70],
    ],
    expected: { price: 80, ...NOT },
  },
  {
    name: 'a late event splits equal prices: the reduction began later',
    said: [
      [0, 100],
      [50, 80],
      [60, 80],
      [55, 90],
    ],
    expected: { price: 80, reducedAt: 60, prior: 80, priorAt: 50, from: 30 },
  },
  {
    name: 'delisted now: no price',
    said: [
      [0, 100],
      [50, 80],
      [60, null],
    ],
    expected: { price: null, ...NOT },
  },
  {
    name: 'the price was never set, only deleted',
    said: [[0, null]],
    expected: { price: null, ...NOT },
  },
  {
    name: 'delisted and back at the same price: the reduction goes on',
    said: [
      [0, 100],
      [50, 80],
      [55, null],
      [58, 80],
    ],
    expected: { price: 80, reducedAt: 50, prior: 100, priorAt: 0, from: 20 },
  },
  {
    name: 'delisted and back cheaper: reduced when it came back',
    said: [
      [0, 100],
      [50, null],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 100, priorAt: 0, from: 30 },
  },
  {
    name: 'delisted and back dearer is a rise',
    said: [
      [0, 100],
      [50, 80],
      [55, null],
      [60, 90],
    ],
    expected: { price: 90, ...NOT },
  },
  {
    name: 'delisted when the window opens: what was in force before does not count',
    said: [
      [0, 50],
      [20, null],
      [40, 100],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 100, priorAt: 40, from: 30 },
  },
  {
    name: 'delisted all through the window: it comes back as new',
    said: [
      [0, 100],
      [20, null],
      [60, 80],
    ],
    expected: { price: 80, ...NOT },
  },
  {
    name: 'delisted until just after the window opened',
    said: [
      [0, 100],
      [29, null],
      [31, 90],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 90, priorAt: 31, from: 30 },
  },
  {
    name: 'gradual across a delisting shorter than the window',
    said: [
      [0, 100],
      [40, 90],
      [45, null],
      [60, 80],
    ],
    gradual: true,
    expected: { price: 80, reducedAt: 40, prior: 100, priorAt: 0, from: 10 },
  },
  {
    name: 'gradual across a delisting longer than the window begins anew',
    said: [
      [0, 100],
      [5, null],
      [60, 90],
      [70, 80],
    ],
    gradual: true,
    expected: { price: 80, reducedAt: 70, prior: 90, priorAt: 60, from: 40 },
  },
  {
    name: 'younger than the window',
    said: [
      [45, 100],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 100, priorAt: 45, from: 30, younger: true },
  },
  {
    name: 'back after a delisting is not younger, if it had a price before the window',
    said: [
      [0, 100],
      [20, null],
      [45, 110],
      [60, 80],
    ],
    expected: { price: 80, reducedAt: 60, prior: 110, priorAt: 45, from: 30 },
  },
  {
    name: 'seven days',
    said: [
      [0, 70],
      [40, 110],
      [60, 90],
    ],
    days: 7,
    expected: { price: 90, reducedAt: 60, prior: 110, priorAt: 40, from: 53 },
  },
  {
    name: 'sixty days',
    said: [
      [-100, 120],
      [5, 70],
      [25, 110],
      [60, 90],
    ],
    days: 60,
    expected: { price: 90, reducedAt: 60, prior: 70, priorAt: 5, from: 0 },
  },
  {
    name: 'the history begins before the window opens: whole',
    said: [
      [20, 100],
      [60, 80],
    ],
    wholeFrom: 20,
    expected: { price: 80, reducedAt: 60, prior: 100, priorAt: 20, from: 30 },
  },
  {
    name: 'the history begins within the window: not whole, and not younger',
    said: [
      [40, 100],
      [60, 80],
    ],
    wholeFrom: 40,
    expected: { price: 80, reducedAt: 60, prior: 100, priorAt: 40, from: 30, whole: false },
  },
  {
    name: 'the history begins with the present price: whether it is reduced is not known',
    said: [[60, 80]],
    wholeFrom: 60,
    expected: { price: 80, ...NOT, whole: false },
  },
  {
    name: 'gradual, and the first step may lie before the history',
    said: [
      [40, 100],
      [60, 80],
    ],
    gradual: true,
    wholeFrom: 40,
    expected: { price: 80, reducedAt: 60, prior: 100, priorAt: 40, from: 30, whole: false },
  },
  {
    name: 'delisted when the history begins, and back within the window: it may have been dearer',
    said: [
      [40, null],
      [60, 80],
    ],
    wholeFrom: 40,
    expected: { price: 80, ...NOT, whole: false },
  },
  {
    name: 'delisted when the history begins, and back behind the window',
    said: [
      [20, null],
      [60, 80],
    ],
    wholeFrom: 20,
    expected: { price: 80, ...NOT },
  },
  {
    name: 'a price of zero is a price',
    said: [
      [0, 10],
      [60, 0],
    ],
    expected: { price: 0, reducedAt: 60, prior: 10, priorAt: 0, from: 30 },
  },
];
