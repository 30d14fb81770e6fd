/**
 * Where a text stops being JSON, in words. Only for a text that JSON.parse refused: it has no place to
 * ask for, and the wording of its message is nobody's to rely on. Main thread; pure.
 */

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const LOWER_U = 0x75;

const LITERALS: ReadonlyMap<string, string> = new Map([
  ['t', 'true'],
  ['f', 'false'],
  ['n', 'null'],
]);

/** One sentence about `text`, which is not JSON; `what` is its subject. */
export function whereItFails(text: string, what = 'The body'): string {
  const at = new JsonScan(text).faultAt();
  if (at === undefined) return `${what} is not valid JSON.`;
  if (at === text.length) return `${what} is not valid JSON: it ends too early.`;
  return `${what} is not valid JSON: the fault is at character ${at}, counted from 0.`;
}

/** Reads a text by RFC 8259. No recursion: a body may nest deeper than the stack is. */
class JsonScan {
  readonly #text: string;
  /** The first character that can't stand where it stands, once something can't. */
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** The place of the first fault, the length if the text ends too early; `undefined` = none. */
  faultAt(): number | undefined {
    return this.#isJson() ? undefined : this.#at;
  }

  #isJson(): boolean {
    /** The brackets that close what is open. */
    const closing: number[] = [];
    for (;;) {
      // A value, or the end of a container that has just begun.
      const first = this.#next();
      if (first === OPEN_ARRAY || first === OPEN_OBJECT) {
        this.#at++;
        const end = first === OPEN_ARRAY ? CLOSE_ARRAY : CLOSE_OBJECT;
        if (this.#next() !== end) {
          closing.push(end);
          if (end === CLOSE_OBJECT && !this.#name()) return false;
          continue;
        }
        this.#at++;
      } else if (!this.#scalar(first)) return false;
      // What may stand behind a value.
      while (this.#next() === closing.at(-1)) {
        closing.pop();
        this.#at++;
      }
      const end = closing.at(-1);
      if (end === undefined) return this.#at === this.#text.length;
      if (this.#next() !== COMMA) return false;
      this.#at++;
      if (end === CLOSE_OBJECT && !this.#name()) return false;
    }
  }

  /** The code of the next character that is no white space; NaN at the end. */
  #next(): number {
    let code = this.#text.charCodeAt(this.#at);
    while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
      code = this.#text.charCodeAt(++this.#at);
    }
    return code;
  }

  #name(): boolean {
    if (this.#next() !== QUOTE || !this.#string() || this.#next() !== COLON) return false;
    this.#at++;
    return true;
  }

  #scalar(first: number): boolean {
    if (first === QUOTE) return this.#string();
    const literal = LITERALS.get(this.#text.charAt(this.#at));
    if (literal === undefined) return this.#number();
    for (const letter of literal) if (!this.#takes(letter)) return false;
    return true;
  }

  #string(): boolean {
    const text = this.#text;
    for (;;) {
      const code = text.charCodeAt(++this.#at);
      if (code === QUOTE) break;
      if (code === BACKSLASH) {
        if (!this.#escape()) return false;
      } else if (!(code >= 0x20)) return false; // NaN at the end, too
    }
    this.#at++;
    return true;
  }

  /** Leaves the place at the last character of the escape. */
  #escape(): boolean {
    const text = this.#text;
    if (text.charCodeAt(++this.#at) !== LOWER_U) return '"\\/bfnrt'.includes(this.#escaped());
    for (let i = 0; i < 4; i++) if (!/^[\dA-Fa-f]$/.test(text.charAt(++this.#at))) return false;
    return true;
  }

  /** At the end of the text a character that no escape has. */
  #escaped(): string {
    return this.#text.charAt(this.#at) || ' ';
  }

  #number(): boolean {
    this.#takes('-');
    if (!this.#takes('0') && !this.#digits()) return false;
    if (this.#takes('.') && !this.#digits()) return false;
    if (!this.#takes('e') && !this.#takes('E')) return true;
    if (!this.#takes('+')) this.#takes('-');
    return this.#digits();
  }

  #digits(): boolean {
    const from = this.#at;
    for (let code = this.#text.charCodeAt(from); code >= 0x30 && code <= 0x39; ) {
      code = this.#text.charCodeAt(++this.#at);
    }
    return this.#at > from;
  }

  /** Passes over `letter` if it is next. */
  #takes(letter: string): boolean {
    if (this.#text.charAt(this.#at) !== letter) return false;
    this.#at++;
    return true;
  }
}
