/**
 * What a feed is to an import: bytes in, blocks of events out, each event with the place it came from. A
 * block ends where the bytes say, not where they happened to be cut when they were read, so that the same
 * feed always gives the same blocks. Types only; pure, any thread.
 */

/** A record that is no event, and why: it goes into the report of refused lines. */
export interface Refusal {
  /** Line of the feed, from 1; of formats without lines, the number of the record. */
  readonly line: number;
  /** A sentence, ASCII. */
  readonly reason: string;
  /** The record as it stands in the feed, without its line end, or an event in JSON where that can't be mended. */
  readonly record: Uint8Array;
}

export interface Block {
  /** Bytes of the window that are done with. */
  readonly consumed: number;
  /** Events as NDJSON. */
  readonly body: Buffer;
  readonly events: number;
  /** The record that line `n` (from 1) of `body` was made of. */
  readonly originOf: (n: number) => Omit<Refusal, 'reason'>;
  /** Records that are no events. */
  readonly refusals: readonly Refusal[];
  /** Records that say nothing of price or stock, by why. */
  readonly skipped: ReadonlyMap<string, number>;
}

export interface Converter {
  /**
   * Converts the records at the beginning of `window` up to the end of a block. `undefined`: the block goes
   * on behind the window, so hand in more; never with `isLast`. Throws FeedError if the feed is none.
   */
  readonly convert: (window: Buffer, isLast: boolean) => Block | undefined;
}

/** How refused records are written so that they can be mended and imported again. */
export type ReportForm =
  | { readonly kind: 'ndjson' }
  | { readonly kind: 'table'; readonly delimiter: string; readonly header: Uint8Array };

/** The feed as a whole can't be read; nothing of it from here on. One sentence, ASCII or not. */
export class FeedError extends Error {
  override readonly name = 'FeedError';
}

/** Where a block of lines ends: with the record that goes past so many bytes. */
export const BLOCK_BYTES = 1 << 20;
/** The longest record of a table or array that is looked at. */
export const RECORD_BYTES_MAX = 256 * 1024;

export const NO_SKIPS: ReadonlyMap<string, number> = new Map();

export function countSkip(skipped: Map<string, number>, reason: string): void {
  skipped.set(reason, (skipped.get(reason) ?? 0) + 1);
}
