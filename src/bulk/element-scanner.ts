/**
 * Finds where an element of a JSON array ends without understanding it: knows strings and depth, and
 * nothing of what is valid. Can be stopped at any byte and go on with the next ones. Main thread.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSING_BRACKET = 0x5d;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** JSON's white space. */
export function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

export class ElementScanner {
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  #isBegun = false;

  /** The next byte is the first of an element. */
  begin(): void {
    this.#depth = 0;
    this.#isInString = false;
    this.#isEscaped = false;
    this.#isBegun = false;
  }

  /**
   * Goes on from `from`; returns the position behind the element, or −1 if it does not end before
   * `to`. An element without any byte ends where it begins.
   */
  scan(bytes: Uint8Array, from: number, to: number): number {
    for (let p = from; p < to; p++) {
      const byte = bytes[p];
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === BACKSLASH) this.#isEscaped = true;
        else if (byte === QUOTE) {
          this.#isInString = false;
          if (this.#depth === 0) return p + 1;
        }
        continue;
      }
      if (this.#depth === 0 && (byte === COMMA || isClosing(byte) || isSpace(byte))) return p;
      if (byte === QUOTE) {
        // A string right behind something else is no element: its fault is found between the two.
        if (this.#depth === 0 && this.#isBegun) return p;
        this.#isInString = true;
      } else if (byte === OPENING_BRACE || byte === OPENING_BRACKET) {
        if (this.#depth === 0 && this.#isBegun) return p;
        this.#depth++;
      } else if (isClosing(byte)) {
        this.#depth--;
        if (this.#depth === 0) return p + 1;
      }
      this.#isBegun = true;
    }
    return -1;
  }
}

function isClosing(byte: number): boolean {
  return byte === CLOSING_BRACE || byte === CLOSING_BRACKET;
}
