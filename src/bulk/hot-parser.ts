/**
 * The hot form of an event, from bytes straight into a slot: no string, no object. Hot are the known
 * members, each once and in any order, ids of printable ASCII without escapes, plain numbers that fit a
 * double, only stock with a minus, and times of the shape in hot-time.ts. Everything else, what is wrong included, is
 * left to JSON.parse and the schema (event-validator.ts), which say the same about the hot form too:
 * test/bulk/agreement.test.ts holds one to the other, bit by bit. Main thread.
 *
 * The bytes must end in a byte that stands in no event (END_OF_BYTES), so that nothing here has to
 * ask where they end. (Over 300 lines: one state machine over one cursor.)
 */
import type { Buffer } from 'node:buffer';
import { EVENT_ID_BYTES_MAX } from '../event/event-id.ts';
import { isExact } from '../event/exact-number.ts';
import {
  FLAG_ARRIVAL_TIME,
  FLAG_HAS_PRICE,
  FLAG_HAS_STOCK,
  ID_BYTES_MAX,
  KIND_UPSERT,
  packMeta,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_FINGERPRINT,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_PRICE,
  SLOT_SEQ,
  SLOT_STOCK,
  SLOT_WORDS,
  type SlotViews,
  TIME_OF_THE_LOG,
} from '../ring/slot.ts';
import { SECONDS_END, SECONDS_MIN } from '../time/epoch-unit.ts';
import { HotTime } from './hot-time.ts';

/** The byte behind the last one: stands in no JSON but as a fault. */
export const END_OF_BYTES = 0;

export const NEWLINE = 0x0a;
const TAB = 0x09;
const RETURN = 0x0d;
const SPACE = 0x20;
const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const UPPER_E = 0x45;
const BACKSLASH = 0x5c;
const LOWER_E = 0x65;
const OPENING_BRACE = 0x7b;
const CLOSING_BRACE = 0x7d;

/** Integers of so many digits are exact in a double, and so is a quotient of two that are. */
const EXACT_DIGITS_MAX = 15;
/** 10^0 … 10^15, all exact: with them one division rounds once, as it should (Clinger, 1990). */
const POWERS_OF_TEN = Float64Array.from({ length: EXACT_DIGITS_MAX + 1 }, (_, i) => 10 ** i);

/** What is longer is no number that a program wrote. */
const NUMBER_BYTES_MAX = 64;

/** 1 for bytes that stand for themselves in a hot string. */
const PLAIN = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= SPACE && byte <= 0x7e && byte !== QUOTE && byte !== BACKSLASH ? 1 : 0,
);

const PRODUCT_ID = 1;
const PRICE = 2;
const STOCK = 4;
const OCCURRED_AT = 8;
const EVENT_ID = 16;
const PARTIAL = 32;

export interface ParseOptions {
  /** Whether a newline is white space, as inside a JSON array, or ends the event. */
  readonly spansLines: boolean;
  /** The least stock, 0 or less. */
  readonly stockMin: number;
  /** An event with a later time is not hot. */
  readonly latestMs: number;
}

export class HotParser {
  /** Where the event id of the event parsed last stands, quotes excluded; 0, 0 = it had none. */
  eventIdStart = 0;
  eventIdEnd = 0;
  /** Where its product id stands, quotes excluded. */
  productIdStart = 0;
  productIdEnd = 0;
  /** Whether it had the member `partial`, which single events have not. */
  hasPartial = false;
  readonly #time = new HotTime();
  /** Behind the string or number read last. */
  #end = 0;

  /**
   * Reads the event at `at` of `bytes` into slot `index` of `slots`, whole but for its hash.
   * Returns the position behind its closing brace, or −1 if it is not hot; the slot's content is
   * undefined then.
   */
  parse(
    bytes: Buffer,
    at: number,
    slots: SlotViews,
    index: number,
    { spansLines, stockMin, latestMs }: ParseOptions,
  ): number {
    const newline = spansLines ? NEWLINE : SPACE;
    let price = Number.NaN;
    let stock = Number.NaN;
    let occurredAtMs = TIME_OF_THE_LOG;
    let idBytes = 0;
    let isPartial = false;
    let seen = 0;
    let p = skipSpace(bytes, at, newline);
    if (bytes[p] !== OPENING_BRACE) return -1;
    do {
      p = skipSpace(bytes, p + 1, newline);
      const member = memberAt(bytes, p);
      if (member === 0 || (seen & member) !== 0) return -1;
      seen |= member;
      p = skipSpace(bytes, p + nameBytes(member), newline);
      if (bytes[p] !== COLON) return -1;
      p = skipSpace(bytes, p + 1, newline);
      if (member === PRODUCT_ID) {
        idBytes = this.#productId(bytes, p, slots, index);
        if (idBytes < 0) return -1;
        this.productIdStart = p + 1;
        p = this.#end;
        this.productIdEnd = p - 1;
      } else if (member === PRICE) {
        price = this.#number(bytes, p);
        // Also false for NaN, which says that it is not hot.
        if (!(price < Number.POSITIVE_INFINITY)) return -1;
        p = this.#end;
      } else if (member === STOCK) {
        stock = this.#number(bytes, p);
        if (!Number.isSafeInteger(stock)) {
          stock = this.#negative(bytes, p, stockMin);
          if (!Number.isSafeInteger(stock)) return -1;
        }
        p = this.#end;
      } else if (member === OCCURRED_AT) {
        if (bytes[p] === QUOTE) {
          p = this.#time.parse(bytes, p + 1);
          if (p < 0) return -1;
          occurredAtMs = this.#time.ms;
        } else {
          occurredAtMs = this.#number(bytes, p);
          if (!Number.isSafeInteger(occurredAtMs)) return -1;
          if (occurredAtMs >= SECONDS_MIN && occurredAtMs < SECONDS_END) return -1;
          p = this.#end;
        }
        if (occurredAtMs > latestMs) return -1;
      } else if (member === EVENT_ID) {
        const end = eventIdEnd(bytes, p);
        if (end < 0) return -1;
        this.eventIdStart = p + 1;
        this.eventIdEnd = end;
        p = end + 1;
      } else {
        isPartial = isTrue(bytes, p);
        if (!isPartial && !isFalse(bytes, p)) return -1;
        p += isPartial ? 4 : 5;
      }
      p = skipSpace(bytes, p, newline);
    } while (bytes[p] === COMMA);
    if (bytes[p] !== CLOSING_BRACE || (seen & PRODUCT_ID) === 0) return -1;
    const fields = seen & (PRICE | STOCK);
    if (fields !== (PRICE | STOCK) && !(isPartial && fields !== 0)) return -1;
    if ((seen & EVENT_ID) === 0) {
      this.eventIdStart = 0;
      this.eventIdEnd = 0;
    }
    this.hasPartial = (seen & PARTIAL) !== 0;

    let flags = 0;
    if ((seen & PRICE) !== 0) flags |= FLAG_HAS_PRICE;
    if ((seen & STOCK) !== 0) flags |= FLAG_HAS_STOCK;
    if ((seen & OCCURRED_AT) === 0) flags |= FLAG_ARRIVAL_TIME;
    const { doubles, words } = slots;
    const d = index * SLOT_DOUBLES;
    const w = index * SLOT_WORDS;
    doubles[d + SLOT_SEQ] = 0;
    doubles[d + SLOT_OCCURRED_AT] = occurredAtMs;
    doubles[d + SLOT_PRICE] = price;
    doubles[d + SLOT_STOCK] = stock;
    doubles[d + SLOT_EXPECTED_SEQ] = 0;
    words[w + SLOT_META] = packMeta(KIND_UPSERT, flags, idBytes);
    for (let i = SLOT_FINGERPRINT; i < SLOT_ID; i++) words[w + i] = 0;
    return p + 1;
  }

  /** Reads the id at `p` (its quote) into the slot, zero-padded; returns its length, −1 = not hot. */
  #productId(bytes: Uint8Array, p: number, slots: SlotViews, index: number): number {
    if (bytes[p] !== QUOTE) return -1;
    const { words } = slots;
    const start = p + 1;
    let w = index * SLOT_WORDS + SLOT_ID;
    const end = w + ID_BYTES_MAX / 4;
    let at = start;
    let word = 0;
    let shift = 0;
    for (let byte = bytes[at]; byte !== QUOTE; byte = bytes[++at]) {
      if (PLAIN[byte] === 0 || w === end) return -1;
      word |= byte << shift;
      shift += 8;
      if (shift === 32) {
        words[w++] = word;
        word = 0;
        shift = 0;
      }
    }
    if (at === start) return -1;
    // `.` and `..`
    if (at - start <= 2 && isDots(bytes, start, at)) return -1;
    if (w < end) words[w++] = word;
    while (w < end) words[w++] = 0;
    this.#end = at + 1;
    return at - start;
  }

  /** Reads the number behind the minus at `p`, down to `min`; NaN = not hot. */
  #negative(bytes: Buffer, p: number, min: number): number {
    if (bytes[p] !== MINUS) return Number.NaN;
    const value = 0 - this.#number(bytes, p + 1); // and so −0 is 0
    return value >= min ? value : Number.NaN;
  }

  /** Reads the number at `p`, 0 or more; NaN = not hot. */
  #number(bytes: Buffer, p: number): number {
    let at = p;
    let byte = bytes[at];
    let value = byte - ZERO;
    if (value >>> 0 > 9) return Number.NaN;
    byte = bytes[++at];
    if (value !== 0) {
      for (let digit = byte - ZERO; digit >>> 0 <= 9; digit = byte - ZERO) {
        value = value * 10 + digit;
        byte = bytes[++at];
      }
    }
    let digits = at - p;
    if (byte === POINT) {
      const fraction = at + 1;
      byte = bytes[++at];
      for (let digit = byte - ZERO; digit >>> 0 <= 9; digit = byte - ZERO) {
        value = value * 10 + digit;
        byte = bytes[++at];
      }
      const decimals = at - fraction;
      if (decimals === 0) return Number.NaN;
      digits += decimals;
      if (digits <= EXACT_DIGITS_MAX) value /= POWERS_OF_TEN[decimals];
    }
    if (digits > EXACT_DIGITS_MAX || byte === LOWER_E || byte === UPPER_E) {
      return this.#longNumber(bytes, p, at);
    }
    this.#end = at;
    return value;
  }

  /** Has Number() read what has more digits, or an exponent; `at` is behind the digits. */
  #longNumber(bytes: Buffer, start: number, at: number): number {
    let end = at;
    if (bytes[end] === LOWER_E || bytes[end] === UPPER_E) {
      end++;
      if (bytes[end] === 0x2b || bytes[end] === 0x2d) end++;
      const exponent = end;
      while ((bytes[end] - ZERO) >>> 0 <= 9) end++;
      if (end === exponent) return Number.NaN;
    }
    if (end - start > NUMBER_BYTES_MAX) return Number.NaN;
    this.#end = end;
    const source = bytes.toString('latin1', start, end);
    const value = Number(source);
    return isExact(source, value) ? value : Number.NaN;
  }
}

function isDots(b: Uint8Array, start: number, end: number): boolean {
  return b[start] === POINT && b[end - 1] === POINT;
}

function skipSpace(bytes: Uint8Array, at: number, newline: number): number {
  let p = at;
  for (;;) {
    const byte = bytes[p];
    if (byte > SPACE) return p;
    if (byte !== SPACE && byte !== TAB && byte !== RETURN && byte !== newline) return p;
    p++;
  }
}

/** Which member's name stands at `p`, quotes included; 0 = none that is known. */
function memberAt(bytes: Uint8Array, p: number): number {
  if (bytes[p] !== QUOTE) return 0;
  switch (bytes[p + 1]) {
    case 0x70: // p
      if (bytes[p + 2] === 0x61) return isName(bytes, p, NAME_PARTIAL) ? PARTIAL : 0;
      if (bytes[p + 3] === 0x69) return isName(bytes, p, NAME_PRICE) ? PRICE : 0;
      return isName(bytes, p, NAME_PRODUCT_ID) ? PRODUCT_ID : 0;
    case 0x73: // s
      return isName(bytes, p, NAME_STOCK) ? STOCK : 0;
    case 0x6f: // o
      return isName(bytes, p, NAME_OCCURRED_AT) ? OCCURRED_AT : 0;
    case 0x65: // e
      return isName(bytes, p, NAME_EVENT_ID) ? EVENT_ID : 0;
    default:
      return 0;
  }
}

const NAME_PRODUCT_ID = nameOf('product_id');
const NAME_PRICE = nameOf('price');
const NAME_STOCK = nameOf('stock');
const NAME_OCCURRED_AT = nameOf('occurred_at');
const NAME_EVENT_ID = nameOf('event_id');
const NAME_PARTIAL = nameOf('partial');

function nameOf(member: string): Uint8Array {
  return Uint8Array.from(`"${member}"`, (char) => char.charCodeAt(0));
}

function nameBytes(member: number): number {
  switch (member) {
    case PRODUCT_ID:
      return NAME_PRODUCT_ID.length;
    case OCCURRED_AT:
      return NAME_OCCURRED_AT.length;
    case EVENT_ID:
      return NAME_EVENT_ID.length;
    case PARTIAL:
      return NAME_PARTIAL.length;
    default:
      return NAME_PRICE.length;
  }
}

function isName(bytes: Uint8Array, p: number, name: Uint8Array): boolean {
  for (let i = 2; i < name.length; i++) if (bytes[p + i] !== name[i]) return false;
  return true;
}

function isTrue(b: Uint8Array, p: number): boolean {
  return b[p] === 0x74 && b[p + 1] === 0x72 && b[p + 2] === 0x75 && b[p + 3] === LOWER_E;
}

function isFalse(b: Uint8Array, p: number): boolean {
  return (
    b[p] === 0x66 &&
    b[p + 1] === 0x61 &&
    b[p + 2] === 0x6c &&
    b[p + 3] === 0x73 &&
    b[p + 4] === LOWER_E
  );
}

/** Where the closing quote of the event id at `p` stands; −1 = not hot. */
function eventIdEnd(bytes: Uint8Array, p: number): number {
  if (bytes[p] !== QUOTE) return -1;
  const start = p + 1;
  let at = start;
  while (PLAIN[bytes[at]] === 1) at++;
  return bytes[at] === QUOTE && at > start && at - start <= EVENT_ID_BYTES_MAX ? at : -1;
}
