/**
 * What formats share that are read through and through, not record by record: bytes go to a parser in pieces
 * of one size, and the events that end in a piece are its block. So the same feed gives the same blocks. Pure,
 * any thread.
 */
import { type Block, type Converter, countSkip, type Refusal } from './feed.ts';
import { jsonText } from './identifiers.ts';
import { timeMember } from './table.ts';

const PIECE_BYTES = 256 * 1024;

/** One product's news; '' = none of that field. */
export interface FoundEvent {
  /** Where it begins: line, or number of the segment. */
  readonly line: number;
  readonly id: string;
  readonly price: string;
  readonly stock: string;
  readonly occurredAt: string;
  readonly fault: string | undefined;
  readonly skip: string | undefined;
}

export abstract class StreamConverter implements Converter {
  #found: FoundEvent[] = [];

  readonly convert = (window: Buffer, isLast: boolean): Block | undefined => {
    if (!isLast && window.length < PIECE_BYTES) return undefined;
    const consumed = Math.min(window.length, PIECE_BYTES);
    this.#found = [];
    this.read(window.subarray(0, consumed));
    if (isLast && consumed === window.length) this.end();
    return blockOf(this.#found, consumed);
  };

  /** Reads on; throws FeedError. */
  protected abstract read(bytes: Buffer): void;
  /** The feed is at its end; throws FeedError if it must not be. */
  protected abstract end(): void;

  protected found(event: FoundEvent): void {
    this.#found.push(event);
  }
}

function blockOf(found: readonly FoundEvent[], consumed: number): Block {
  const refusals: Refusal[] = [];
  const skipped = new Map<string, number>();
  const lines: string[] = [];
  const places: number[] = [];
  for (const event of found) {
    const { line, id, price, stock, fault, skip } = event;
    const json = jsonOf(event);
    if (fault !== undefined) refusals.push({ line, reason: fault, record: Buffer.from(json) });
    else if (skip !== undefined) countSkip(skipped, skip);
    else if (id === '') countSkip(skipped, 'entry without an id');
    else if (price === '' && stock === '') countSkip(skipped, 'entry without price and stock');
    else {
      lines.push(`${json}\n`);
      places.push(line);
    }
  }
  return {
    consumed,
    body: Buffer.from(lines.join('')),
    events: lines.length,
    originOf: (n) => ({ line: places[n - 1], record: Buffer.from(lines[n - 1].trimEnd()) }),
    refusals,
    skipped,
  };
}

function jsonOf({ id, price, stock, occurredAt }: FoundEvent): string {
  const parts = [`"product_id":${jsonText(id)}`];
  if (price !== '') parts.push(`"price":${price}`);
  if (stock !== '') parts.push(`"stock":${stock}`);
  if (price === '' || stock === '') parts.push('"partial":true');
  return `{${parts.join(',')}${timeMember(occurredAt)}}`;
}
