/**
 * What a preset for tables is: which header it knows, and how it makes an event of a row. Types, and the steps
 * that presets share. Pure, any thread.
 */
import { asciiText, readId } from './identifiers.ts';
import { type DecimalMark, readDecimal, readWhole } from './numbers.ts';

/** A header's names, compared without case, blanks, hyphens and underscores. */
export class Columns {
  readonly names: readonly string[];
  readonly #plain: readonly string[];

  constructor(names: readonly string[]) {
    this.names = names;
    this.#plain = names.map(plainName);
  }

  /** The column that has one of these names, the first name that is there; −1 = none. */
  find(...names: readonly string[]): number {
    for (const name of names) {
      const at = this.#plain.indexOf(plainName(name));
      if (at >= 0) return at;
    }
    return -1;
  }

  has(...names: readonly string[]): boolean {
    return names.every((name) => this.find(name) >= 0);
  }

  /** A name that stands there twice, if one does. */
  get repeated(): string | undefined {
    return this.names.find(
      (_name, i) => this.#plain[i] !== '' && this.#plain.indexOf(this.#plain[i]) !== i,
    );
  }
}

export function plainName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll(/[\s_-]+/g, ' ');
}

/** One row: the trimmed text of a column; '' where the row has no such cell. */
export interface Row {
  readonly text: (column: number) => string;
}

/** What a row says, filled by a preset. '' = no news of that field. */
export class RowEvent {
  id = '';
  /** JSON numbers. */
  price = '';
  stock = '';
  /** An event time of the row's own, as the service takes it. */
  occurredAt = '';
  /** Why it is refused; it counts before everything else. */
  fault: string | undefined;
  /** Why it says nothing, for the count. */
  skip: string | undefined;

  clear(): void {
    this.id = '';
    this.price = '';
    this.stock = '';
    this.occurredAt = '';
    this.fault = undefined;
    this.skip = undefined;
  }

  /** Takes the id in `cell`. */
  setId(cell: string): void {
    const found = readId(cell);
    if ('fault' in found) this.fault = found.fault;
    else this.id = found.id;
  }

  /** Takes the price in `cell`; an empty one is no news. */
  setPrice(cell: string, mark: DecimalMark): void {
    if (cell === '') return;
    const price = readDecimal(cell, mark);
    if (price === undefined)
      this.fault ??= `the price ${asciiText(cell)} is no number with decimal ${mark}`;
    else this.price = price;
  }

  /** Takes the stock in `cell`, a whole number; an empty one is no news. */
  setStock(cell: string, mark: DecimalMark): void {
    if (cell === '') return;
    const stock = readWhole(cell, mark);
    if (stock === undefined) {
      this.fault ??= `the stock ${asciiText(cell)} is no whole number with decimal ${mark}`;
    } else this.stock = stock;
  }
}

/** What the command line says to presets. */
export interface PresetOptions {
  readonly decimal: DecimalMark;
  /** When the import began, ms since 1970: prices that begin later are no news yet. */
  readonly nowMs: number;
  readonly location: string | undefined;
  readonly storeView: string | undefined;
  readonly currency: string | undefined;
  /** Goods that are not in stock by word only have stock 0. */
  readonly outOfStockIsZero: boolean;
}

export interface RowReader {
  /** Makes the event of a row; reads rows in order. */
  readonly read: (row: Row, event: RowEvent) => void;
  /** What is still held back after the last row; false = nothing. */
  readonly flush?: (event: RowEvent) => boolean;
}

export interface TablePreset {
  readonly name: string;
  /** Whether a header is one of these. */
  readonly recognises: (columns: Columns) => boolean;
  /** Decimal mark of these files; `undefined` = found in the file. */
  readonly decimal: DecimalMark | undefined;
  /** Columns whose numbers show the decimal mark. */
  readonly numberColumns?: (columns: Columns) => readonly number[];
  /** Throws FeedError if the options don't fit the header. */
  readonly open: (columns: Columns, options: PresetOptions) => RowReader;
}
