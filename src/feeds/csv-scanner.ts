/**
 * Finds the records and cells of a table in its bytes (RFC 4180, with any delimiter of one byte): nothing is
 * decoded that nobody asks for. Lines end with \r\n, \n or \r, also mixed. A quote counts only where a
 * cell begins with it. Pure, any thread.
 *
 * Own, because what decides an import's speed is here: csv-parse reads some 200,000 such records a second,
 * this some millions (test/feeds/csv-scanner.test.ts holds it to csv-parse on random tables).
 */

const QUOTE = 0x22;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const CELLS_MAX = 1024;

/** What stands at a position: `more` = the record may go on behind the bytes at hand. */
export type ScanState = 'record' | 'more' | 'end';

export class CsvScanner {
  /** Cells of the record; cell `i` is the bytes from `starts[i]` to `ends[i]`, inside its quotes. */
  cells = 0;
  readonly starts = new Int32Array(CELLS_MAX);
  readonly ends = new Int32Array(CELLS_MAX);
  /** Where the record ends, without its line end, and where the next one begins. */
  recordEnd = 0;
  next = 0;
  /** Line ends in it, its own included. */
  lines = 0;
  /** None of its bytes is above 0x7f. */
  isAscii = true;
  /** Why it is no proper record. */
  fault: string | undefined;
  /** Cell `i` was in quotes and has doubled ones. */
  readonly #hasQuotes = new Uint8Array(CELLS_MAX);
  #delimiter: number;

  constructor(delimiter: string) {
    this.#delimiter = delimiter.charCodeAt(0);
  }

  /** Reads the record at `from`; with `isLast` the bytes are all there will be. */
  scan(bytes: Uint8Array, from: number, to: number, isLast: boolean): ScanState {
    if (from >= to) return isLast ? 'end' : 'more';
    const delimiter = this.#delimiter;
    const { starts, ends } = this;
    let high = 0;
    let cell = 0;
    let p = from;
    this.fault = undefined;
    this.lines = 0;
    for (;;) {
      this.#hasQuotes[cell] = 0;
      let byte = bytes[p];
      if (byte === QUOTE && p < to) {
        starts[cell] = ++p;
        for (;;) {
          // Up to the quote that is not doubled.
          for (; p < to; p++) {
            byte = bytes[p];
            if (byte === QUOTE) break;
            high |= byte;
            if (byte === NEWLINE || (byte === RETURN && bytes[p + 1] !== NEWLINE)) this.lines++;
          }
          if (p >= to) {
            if (!isLast) return 'more';
            this.fault = 'a quote is opened and never closed';
            break;
          }
          if (p + 1 >= to && !isLast) return 'more';
          if (p + 1 < to && bytes[p + 1] === QUOTE) {
            this.#hasQuotes[cell] = 1;
            p += 2;
            continue;
          }
          break;
        }
        ends[cell] = p;
        if (p < to) p++;
        byte = bytes[p];
        if (p < to && byte !== delimiter && byte !== NEWLINE && byte !== RETURN) {
          this.fault = 'text stands behind a closing quote';
          while (p < to && byte !== delimiter && byte !== NEWLINE && byte !== RETURN) {
            high |= byte;
            byte = bytes[++p];
          }
        }
      } else {
        starts[cell] = p;
        while (p < to && byte !== delimiter && byte !== NEWLINE && byte !== RETURN) {
          high |= byte;
          byte = bytes[++p];
        }
        ends[cell] = p;
      }
      if (p < to && byte === delimiter) {
        p++;
        if (cell < CELLS_MAX - 1) cell++;
        else this.fault = `it has more than ${CELLS_MAX} cells`;
        continue;
      }
      if (p >= to && !isLast) return 'more';
      if (byte === RETURN && p + 1 >= to && !isLast) return 'more';
      break;
    }
    this.cells = cell + 1;
    this.isAscii = high < 0x80;
    this.recordEnd = p;
    if (p < to) {
      this.lines++;
      p += bytes[p] === RETURN && p + 1 < to && bytes[p + 1] === NEWLINE ? 2 : 1;
    }
    this.next = p;
    return 'record';
  }

  /** Whether cell `i` has doubled quotes, which its bytes still have. */
  hasDoubledQuotes(i: number): boolean {
    return this.#hasQuotes[i] === 1;
  }
}
