/**
 * Makes events of the rows of a table: bytes of a block in, NDJSON out. Pure, any thread.
 */
import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';
import { CsvScanner } from './csv-scanner.ts';
import {
  BLOCK_BYTES,
  type Block,
  type Converter,
  countSkip,
  RECORD_BYTES_MAX,
  type Refusal,
} from './feed.ts';
import { jsonText } from './identifiers.ts';
import { type Encoding, feedStart, type TableHead } from './table-head.ts';
import { type PresetOptions, type Row, RowEvent, type RowReader } from './table-preset.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const NOT_UTF8 = 'it is no UTF-8: say --encoding windows-1252 if that is what the file is in';
const NO_ID = 'row without an id';
const NO_NEWS = 'row without price and stock';

export class TableConverter implements Converter {
  readonly #scanner: CsvScanner;
  readonly #reader: RowReader;
  readonly #row: TableRow;
  readonly #event = new RowEvent();
  /** `,"occurred_at":"…"`, or nothing. */
  readonly #time: string;
  readonly #isReport: boolean;
  #line: number;

  /** `occurredAt` is the event time of rows that have none of their own; '' = as they arrive. */
  constructor(head: TableHead, options: PresetOptions, occurredAt: string) {
    this.#scanner = new CsvScanner(head.delimiter);
    this.#reader = head.preset.open(head.columns, options);
    this.#row = new TableRow(this.#scanner, head.encoding);
    this.#time = timeMember(occurredAt);
    this.#isReport = head.isReport;
    this.#line = head.rowsLine;
  }

  readonly convert = (window: Buffer, isLast: boolean): Block | undefined => {
    // So that every record of the block is whole.
    if (!isLast && window.length < BLOCK_BYTES + RECORD_BYTES_MAX) return undefined;
    const origins = new Origins(window);
    const refusals: Refusal[] = [];
    const skipped = new Map<string, number>();
    const event = this.#event;
    const row = this.#row;
    row.bytes = window;
    let text = '';
    let p = 0;
    while (p < BLOCK_BYTES) {
      const line = this.#line;
      const next = this.#scan(window, p, isLast);
      if (next < 0) break;
      const end = this.#scanner.recordEnd;
      if (end > p) {
        event.clear();
        event.fault = this.#scanner.fault;
        row.fault = undefined;
        if (event.fault === undefined) this.#reader.read(row, event);
        event.fault ??= row.fault;
        if (event.fault !== undefined) {
          const start = this.#recordStart(window, p);
          refusals.push({ line, reason: event.fault, record: window.subarray(start, end) });
        } else {
          const json = this.#json(event, skipped);
          if (json !== '') {
            text += json;
            origins.add(line, this.#recordStart(window, p), end);
          }
        }
      }
      p = next;
    }
    if (isLast && p >= window.length && this.#reader.flush?.(event) === true) {
      const json = this.#json(event, skipped);
      if (json !== '') {
        text += json;
        origins.add(this.#line, window.length, window.length);
      }
    }
    return {
      consumed: p,
      body: Buffer.from(text),
      events: origins.count,
      originOf: (n) => origins.of(n),
      refusals,
      skipped,
    };
  };

  /** Where the feed's own cells begin in the record at `from`. */
  #recordStart(window: Buffer, from: number): number {
    const scanner = this.#scanner;
    return this.#isReport && scanner.fault === undefined ? feedStart(window, scanner) : from;
  }

  /** Reads the record at `from`; returns where the next one begins, −1 at the end. */
  #scan(window: Buffer, from: number, isLast: boolean): number {
    const scanner = this.#scanner;
    const to = Math.min(window.length, from + RECORD_BYTES_MAX);
    const state = scanner.scan(window, from, to, isLast && to === window.length);
    if (state === 'end') return -1;
    const isRunaway = state === 'more' || scanner.fault !== undefined;
    const at = isRunaway ? lineEnd(window, from, to) : -1;
    if (state === 'more' || (at >= 0 && at < scanner.recordEnd)) {
      // A quote at the wrong place would swallow the lines behind it: only its own is refused.
      scanner.fault = 'a quote is never closed, or stands at the wrong place';
      scanner.recordEnd = at < 0 ? to : at;
      this.#line++;
      if (at < 0) return to;
      return window[at] === RETURN && window[at + 1] === NEWLINE ? at + 2 : at + 1;
    }
    this.#line += scanner.lines;
    return scanner.next;
  }

  /** The event as a line of JSON; '' = it says nothing, which is counted. */
  #json(event: RowEvent, skipped: Map<string, number>): string {
    const { id, price, stock, occurredAt, skip } = event;
    if (skip !== undefined) countSkip(skipped, skip);
    else if (id === '' || /^0+$/.test(id)) countSkip(skipped, NO_ID);
    else if (price === '' && stock === '') countSkip(skipped, NO_NEWS);
    else {
      const time = occurredAt === '' ? this.#time : timeMember(occurredAt);
      const name = jsonText(id);
      if (stock === '') return `{"product_id":${name},"price":${price},"partial":true${time}}\n`;
      if (price === '') return `{"product_id":${name},"stock":${stock},"partial":true${time}}\n`;
      return `{"product_id":${name},"price":${price},"stock":${stock}${time}}\n`;
    }
    return '';
  }
}

/** The first line end from `from` on, before `to`; −1 = none. */
function lineEnd(bytes: Buffer, from: number, to: number): number {
  for (let p = from; p < to; p++) if (bytes[p] === NEWLINE || bytes[p] === RETURN) return p;
  return -1;
}

/** As the service takes it: milliseconds as a number, everything else as text. */
export function timeMember(occurredAt: string): string {
  if (occurredAt === '') return '';
  const isNumber = /^-?\d{1,16}$/.test(occurredAt) && occurredAt === String(Number(occurredAt));
  return `,"occurred_at":${isNumber ? occurredAt : JSON.stringify(occurredAt)}`;
}

/** Where the events of a block came from. */
class Origins {
  readonly #window: Buffer;
  readonly #places: number[] = [];

  constructor(window: Buffer) {
    this.#window = window;
  }

  get count(): number {
    return this.#places.length / 3;
  }

  add(line: number, start: number, end: number): void {
    this.#places.push(line, start, end);
  }

  of(n: number): Omit<Refusal, 'reason'> {
    const [line = 0, start, end] = this.#places.slice((n - 1) * 3, n * 3);
    return { line, record: this.#window.subarray(start, end) };
  }
}

class TableRow implements Row {
  bytes: Buffer = Buffer.alloc(0);
  /** A cell that was asked for can't be decoded. */
  fault: string | undefined;
  readonly #scanner: CsvScanner;
  readonly #decoder: TextDecoder | undefined;

  constructor(scanner: CsvScanner, encoding: Encoding) {
    this.#scanner = scanner;
    this.#decoder = encoding === 'utf-8' ? undefined : new TextDecoder(encoding);
  }

  readonly text = (column: number): string => {
    const scanner = this.#scanner;
    if (column < 0 || column >= scanner.cells) return '';
    const start = scanner.starts[column];
    const end = scanner.ends[column];
    if (start === end) return '';
    let text: string;
    if (scanner.isAscii) text = this.bytes.toString('latin1', start, end);
    else if (this.#decoder !== undefined)
      text = this.#decoder.decode(this.bytes.subarray(start, end));
    else if (isUtf8(this.bytes.subarray(start, end)))
      text = this.bytes.toString('utf8', start, end);
    else {
      this.fault = NOT_UTF8;
      return '';
    }
    if (scanner.hasDoubledQuotes(column)) text = text.replaceAll('""', '"');
    return text.trim();
  };
}
