/** A feed in memory, converted whole as an import does. Tests only. */
import { BLOCK_BYTES, RECORD_BYTES_MAX } from '../../src/feeds/feed.ts';
import { type FeedOptions, openFeed } from '../../src/feeds/open-feed.ts';

export const NOW_MS = Date.parse('2026-06-01T12:00:00Z');

export const PLAIN_OPTIONS: FeedOptions = {
  format: undefined,
  preset: undefined,
  map: undefined,
  delimiter: undefined,
  encoding: undefined,
  decimal: undefined,
  location: undefined,
  storeView: undefined,
  currency: undefined,
  outOfStockIsZero: false,
  occurredAt: '',
  isTimeAsked: false,
  priceType: undefined,
  priceQuantity: undefined,
  nowMs: NOW_MS,
};

export interface Converted {
  readonly what: string;
  readonly events: readonly Record<string, unknown>[];
  /** Bodies as they would be sent. */
  readonly bodies: readonly string[];
  readonly refused: readonly { line: number; reason: string; record: string }[];
  readonly skipped: Readonly<Record<string, number>>;
}

/** Converts `feed`, which is handed in as pieces of `pieceBytes`. */
export function converted(
  feed: Uint8Array | string,
  options: Partial<FeedOptions> = {},
  pieceBytes = Number.POSITIVE_INFINITY,
): Converted {
  const bytes = Buffer.from(feed);
  const head = bytes.subarray(0, BLOCK_BYTES + RECORD_BYTES_MAX);
  const { converter, skip, what } = openFeed(head, head.length === bytes.length, {
    ...PLAIN_OPTIONS,
    ...options,
  });
  const bodies: string[] = [];
  const refused: { line: number; reason: string; record: string }[] = [];
  const skipped: Record<string, number> = {};
  let window = Buffer.alloc(0);
  let at = skip;
  for (;;) {
    const isLast = at >= bytes.length;
    const block = converter.convert(window, isLast);
    if (block === undefined) {
      const piece = bytes.subarray(at, at + Math.min(pieceBytes, bytes.length - at));
      window = Buffer.concat([window, piece]);
      at += piece.length;
      continue;
    }
    bodies.push(block.body.toString());
    for (const { record, ...rest } of block.refusals) {
      refused.push({ ...rest, record: Buffer.from(record).toString('latin1') });
    }
    for (const [reason, count] of block.skipped) skipped[reason] = (skipped[reason] ?? 0) + count;
    window = window.subarray(block.consumed);
    if (isLast && window.length === 0) break;
  }
  const lines = bodies.join('').split('\n');
  const events = lines.filter((line) => line.trim() !== '').map((line) => JSON.parse(line));
  return { what, events, bodies, refused, skipped };
}
