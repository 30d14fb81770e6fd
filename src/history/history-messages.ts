/** What the history's threads are given and say. Types only. */
import type { HeldFolder } from '../log/held-files.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { HistoryTarget } from './history-store.ts';
import type { HistoryField, Mark } from './mark.ts';
import type { PriorPrice, PriorPriceRule } from './prior-price.ts';

export interface HistoryThreadData {
  readonly memory: SharedMemory;
  readonly control: SharedArrayBuffer;
  readonly target: HistoryTarget;
  /** Folder of the log's segments. */
  readonly logFolder: string;
  /** The data folder that it lies in. */
  readonly held: HeldFolder;
  /** OUTCOME_WINDOW. */
  readonly outcomeEvents: number;
  /** How long values are kept; `undefined` = for ever. */
  readonly keepMs: number | undefined;
  /** Places of products forgotten up to this seq had been freed before this start. */
  readonly freedUntil: number;
}

export interface HistoryDeskData {
  readonly control: SharedArrayBuffer;
  readonly target: HistoryTarget;
}

/** One line for the log. */
export interface HistoryReport {
  readonly level: 'info' | 'warn' | 'error';
  readonly text: string;
}

/** What a reader is asked. */
export type HistoryAsk =
  | {
      readonly kind: 'page';
      readonly id: string;
      readonly field: HistoryField;
      /** The value in force then is the first. */
      readonly fromMs: number;
      /** What begins then or later is left out. */
      readonly toMs: number;
      /** Instead of `fromMs`: goes on behind the entry that began then. */
      readonly afterMs: number | undefined;
      readonly limit: number;
    }
  | { readonly kind: 'state'; readonly id: string; readonly atMs: number }
  | { readonly kind: 'prior'; readonly ids: readonly string[]; readonly rule: PriorPriceRule };

/** A page of one field's history, oldest first: equal neighbours are one. */
export interface HistoryPage {
  readonly entries: readonly Mark[];
  readonly hasMore: boolean;
  readonly wholeFromMs: number;
}

/** The state of a product as of a moment. */
export interface PastState {
  readonly price: Mark | undefined;
  readonly stock: Mark | undefined;
  /** Since when both fields are whole. */
  readonly wholeFromMs: number;
  /** The last event that changed the product's present state, as far as the history is. */
  readonly version: number;
}

/** The prior price of a product that is listed. */
export interface ProductPriorPrice extends PriorPrice {
  readonly id: string;
  /** As of a past state. */
  readonly version: number;
}

/** To each ask what belongs to it; `undefined` = the history does not know the product. */
export interface HistoryAnswers {
  readonly page: HistoryPage | undefined;
  readonly state: PastState | undefined;
  /** As asked; `undefined` also for a product that is delisted. */
  readonly prior: readonly (ProductPriorPrice | undefined)[];
}

/** With each answer: the last event that was in the history. */
export interface Placed<T> {
  readonly place: number;
  readonly found: T;
}
