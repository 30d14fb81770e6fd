/**
 * The contract of where a history is kept: a file of SQLite, or tables in PostgreSQL. What an event means is
 * decided once, in history-writer.ts, and what a question means in history-reader.ts; here is only what it takes
 * to keep rows. Types and errors; test/history/contract describes both from outside.
 *
 *  - What was taken and the place behind it change in one transaction: whatever dies, each event is in it once.
 *  - One instance writes at a time; a second one is told so when it opens, one that was taken over when it writes.
 *  - A reader sees one state: the place that it is told is that of all else that it is told.
 */
import type { FieldNumber, Mark } from './mark.ts';
import type { Run } from './run.ts';

/** How far a history is. */
export interface HistoryPlace {
  /** The last event that is in it. */
  readonly seq: number;
  /** Products that it does not know are whole from then on. */
  readonly prunedToMs: number;
}

/** What is known of a field, as of the place. */
export interface FieldRow {
  readonly value: number | null;
  /** −Infinity = never set. */
  readonly atMs: number;
  readonly wholeFromMs: number;
}

export interface HistoryRow {
  readonly no: number;
  readonly id: string;
  /** The last event that changed its state. */
  readonly version: number;
  /** By the field's number. */
  readonly fields: readonly [FieldRow, FieldRow];
}

/** A field with what is to be written; the store writes to `tail`. */
export interface FieldChange extends FieldRow {
  /** Ascending, each moment once. */
  readonly marks: readonly Mark[];
  /** The last run that is kept; null = not read yet. */
  tail: Run | undefined | null;
}

/** A product with what is to be written; the store writes to `no` where it was 0, which is a new product. */
export interface ProductChange {
  no: number;
  readonly id: string;
  readonly version: number;
  readonly fields: readonly [FieldChange, FieldChange];
}

/** The writer's end. The history's own thread. Everything rejects with what the database says. */
export interface HistoryStore {
  /** Opens it, its schema up to date, and becomes the one that writes. */
  open(): Promise<HistoryPlace>;
  /** Those of `ids` (each once) that it knows, in any order. */
  find(ids: readonly string[]): Promise<readonly HistoryRow[]>;
  /** Products with a value, in the order of their numbers, behind `afterNo`; `count` at the most. */
  findListed(afterNo: number, count: number): Promise<readonly HistoryRow[]>;
  /** Writes all of it and the place, or nothing. After a rejection nobody knows which, until it is opened again. */
  write(changes: Iterable<ProductChange>, place: HistoryPlace): Promise<void>;
  /** Makes what is written survive whatever becomes of the machine; false if that is not certain yet. */
  flush(): Promise<boolean>;
  /**
   * Takes what was over before `horizonMs` out of some products, those behind `afterNo`; returns the last of
   * them, `undefined` when there are no more. Of each field stays what was in force then, as its first, and it is
   * whole from there. A product that was delisted before goes; should it come back, it is whole from the horizon.
   */
  prune(horizonMs: number, afterNo: number): Promise<number | undefined>;
  /** Forgets everything; rejects, with `reason`, where that is not this service's to decide. */
  clear(reason: string): Promise<void>;
  /** Keeps connection and lock alive while there is nothing to write. */
  beat(): Promise<void>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** One state of a history. */
export interface HistoryView {
  readonly place: number;
  /** In the order of `ids`; `undefined` = it does not know the product. */
  rows(ids: readonly string[]): Promise<readonly (HistoryRow | undefined)[]>;
  /** Of each product where the newest runs of a field begin, newest first, `count` of each at the most. */
  newest(
    products: readonly number[],
    field: FieldNumber,
    count: number,
  ): Promise<readonly (readonly Mark[])[]>;
  /** Runs that begin before `beforeMs`, newest first. */
  before(
    product: number,
    field: FieldNumber,
    beforeMs: number,
    count: number,
  ): Promise<readonly Run[]>;
  /** The last run that begins at `atMs` or before. */
  upTo(product: number, field: FieldNumber, atMs: number): Promise<Run | undefined>;
  /** Runs that begin behind `behindMs`, oldest first. */
  behind(
    product: number,
    field: FieldNumber,
    behindMs: number,
    count: number,
  ): Promise<readonly Run[]>;
}

/** The readers' end. A thread of its own. */
export interface HistoryReads {
  /** Calls `read` with one state; rejects with what the database says. */
  snapshot<T>(read: (view: HistoryView) => Promise<T>): Promise<T>;
  /** Never rejects. */
  close(): Promise<void>;
}

/** Another instance writes this history. */
export class HistoryTakenError extends Error {
  override readonly name = 'HistoryTakenError';
}

/** It is the history of another data folder, or of a later state of this one. */
export class HistoryForeignError extends Error {
  override readonly name = 'HistoryForeignError';
}

/** Where a history is kept; survives structured cloning. */
export type HistoryTarget =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'postgres';
      readonly url: string;
      readonly schema: string;
      /** The data folder's own name, or the cluster's. */
      readonly identity: string;
      /** Whether other instances of a cluster write it, too, one at a time. */
      readonly isShared: boolean;
      /** What the cluster was called in the generation before, and up to which event this one goes on from that. */
      readonly before?: { readonly identity: string; readonly seqMax: number } | undefined;
      readonly timeoutMs: number;
      /** Of those that read. */
      readonly connectionsMax: number;
    };

/** Of what happened, for people; some errors of the network have no words of their own. */
export function textOfError(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return textOfError(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
