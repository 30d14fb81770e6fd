/**
 * Events as they are: NDJSON is cut into blocks and sent unread, elements of a JSON array become lines.
 * What is wrong with an event the service says. Pure, any thread.
 */
import { ElementScanner, isSpace } from '../bulk/element-scanner.ts';
import {
  BLOCK_BYTES,
  type Block,
  type Converter,
  FeedError,
  NO_SKIPS,
  RECORD_BYTES_MAX,
  type Refusal,
} from './feed.ts';

const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const HASH = 0x23;
const COMMA = 0x2c;
const OPENING = 0x5b;
const CLOSING = 0x5d;

/** Lines that begin with #, as a report of refused lines has them, are passed over. */
export class NdjsonConverter implements Converter {
  #line = 1;

  readonly convert = (window: Buffer, isLast: boolean): Block | undefined => {
    let end = window.length;
    if (window.length > BLOCK_BYTES) {
      const at = window.indexOf(NEWLINE, BLOCK_BYTES);
      if (at >= 0) end = at + 1;
      else if (!isLast) return undefined;
    } else if (!isLast) return undefined;
    const bytes = window.subarray(0, end);
    const firstLine = this.#line;
    const { lines, events } = countLines(bytes);
    this.#line += lines;
    const hasComments = bytes[0] === HASH || bytes.includes('\n#');
    return {
      consumed: end,
      body: hasComments ? withoutComments(bytes) : bytes,
      // A comment is no event, but how many these are matters to nobody.
      events,
      originOf: (n) => ({ line: firstLine + n - 1, record: lineAt(bytes, n) }),
      refusals: [],
      skipped: NO_SKIPS,
    };
  };
}

/** Lines, and those that are not blank: a last one without its end counts. */
function countLines(bytes: Buffer): { readonly lines: number; readonly events: number } {
  let lines = 0;
  let blank = 0;
  let start = 0;
  for (; start < bytes.length; lines++) {
    const at = bytes.indexOf(NEWLINE, start);
    const end = at < 0 ? bytes.length : at;
    if (end - start < 2 || bytes[start] === HASH) {
      const isBlank = end === start || isSpace(bytes[start]) || bytes[start] === HASH;
      if (isBlank) blank++;
    }
    start = end + 1;
  }
  return { lines, events: lines - blank };
}

/** Blanks the comments out, so that all lines keep their numbers. */
function withoutComments(bytes: Buffer): Buffer {
  const body = Buffer.from(bytes);
  for (let start = 0; start < body.length; ) {
    const at = body.indexOf(NEWLINE, start);
    const end = at < 0 ? body.length : at;
    if (body[start] === HASH) body.fill(SPACE, start, end);
    start = end + 1;
  }
  return body;
}

function lineAt(bytes: Buffer, n: number): Uint8Array {
  let start = 0;
  for (let i = 1; i < n; i++) start = bytes.indexOf(NEWLINE, start) + 1;
  const at = bytes.indexOf(NEWLINE, start);
  let end = at < 0 ? bytes.length : at;
  if (bytes[end - 1] === RETURN) end--;
  return bytes.subarray(start, end);
}

/** What comes next in an array. */
type Expected = 'start' | 'first' | 'element' | 'comma' | 'end';

export class ArrayConverter implements Converter {
  #expected: Expected = 'start';
  #number = 0;

  readonly convert = (window: Buffer, isLast: boolean): Block | undefined => {
    // A block that turns out to go on behind the window is begun anew.
    const before = { expected: this.#expected, number: this.#number };
    const body = Buffer.alloc(Math.min(window.length, BLOCK_BYTES + RECORD_BYTES_MAX) + 1);
    const scanner = new ElementScanner();
    const numbers: number[] = [];
    const refusals: Refusal[] = [];
    let length = 0;
    let p = 0;
    while (p < BLOCK_BYTES) {
      while (p < window.length && isSpace(window[p])) p++;
      if (p === window.length) break;
      const byte = window[p];
      if (this.#expected === 'end') throw new FeedError('something stands behind the JSON array');
      if (this.#isPunctuation(byte)) {
        p++;
        continue;
      }
      scanner.begin();
      const end = scanner.scan(window, p, window.length);
      const size = (end < 0 ? window.length : end) - p;
      if (size > RECORD_BYTES_MAX) {
        throw new FeedError(`element ${this.#number + 1} is longer than ${RECORD_BYTES_MAX} bytes`);
      }
      if (end < 0) {
        p = window.length;
        break;
      }
      if (size === 0) throw new FeedError(`no valid JSON behind element ${this.#number}`);
      numbers.push(++this.#number);
      window.copy(body, length, p, end);
      // Line ends inside an element are white space: in a string they would be faults.
      for (let i = length; i < length + size; i++) {
        if (body[i] === NEWLINE || body[i] === RETURN) body[i] = SPACE;
      }
      body[length + size] = NEWLINE;
      length += size + 1;
      p = end;
      this.#expected = 'comma';
    }
    if (p < BLOCK_BYTES && !isLast) {
      this.#expected = before.expected;
      this.#number = before.number;
      return undefined;
    }
    if (isLast && p >= window.length && this.#expected !== 'end') {
      throw new FeedError('the JSON array ends too early');
    }
    const bytes = body.subarray(0, length);
    return {
      consumed: p,
      body: bytes,
      events: numbers.length,
      originOf: (n) => ({ line: numbers[n - 1], record: lineAt(bytes, n) }),
      refusals,
      skipped: NO_SKIPS,
    };
  };

  #isPunctuation(byte: number): boolean {
    if (this.#expected === 'start') {
      if (byte !== OPENING) throw new FeedError('it is no JSON array');
      this.#expected = 'first';
      return true;
    }
    if (this.#expected === 'comma') {
      if (byte !== COMMA && byte !== CLOSING) {
        throw new FeedError(`no valid JSON behind element ${this.#number}`);
      }
      this.#expected = byte === COMMA ? 'element' : 'end';
      return true;
    }
    if (this.#expected === 'first' && byte === CLOSING) {
      this.#expected = 'end';
      return true;
    }
    return false;
  }
}
