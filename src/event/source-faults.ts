/**
 * What is wrong with an event's text and lost when it is parsed: JSON.parse drops without a word a member that stands twice (the last one counts) and digits that
 * no double has. Looked for in the text of an event that JSON.parse took. Main thread.
 *
 * A plain event pays one pass over its bytes. Only one that has more colons than members, a long run of
 * digits or an exponent is gone through member by member; only the members of an event are reported, at
 * its top level: everything else in it is refused anyway.
 */
import type { BodyFault } from '../errors/problems.ts';
import { inexactDetail, isExact } from './exact-number.ts';

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const BACKSLASH = 0x5c;
const LOWER_E = 0x65;
const SPACE = 0x20;
const ASCII_MAX = 0x7f;

/** Members of an event, a bit each. */
const MEMBERS: ReadonlyMap<string, number> = new Map(
  ['product_id', 'price', 'stock', 'occurred_at', 'event_id', 'partial'].map((name, i) => [
    name,
    1 << i,
  ]),
);

/** Digits and points in a row of which a double may not hold all. */
const LONG_NUMBER_CHARS = 16;

/** What is wrong with the text of an event, apart from what it says. */
export interface SourceFaults {
  readonly doubled: readonly BodyFault[];
  readonly inexact: readonly BodyFault[];
}

/**
 * Adds to the faults of an event those of its text. A doubled member is what is said of it, whichever
 * value counted; a number that is wrong anyway need not be exact.
 */
export function withSourceFaults(
  faults: readonly BodyFault[],
  source: SourceFaults | undefined,
): readonly BodyFault[] {
  if (source === undefined) return faults;
  const others = faults.filter(isOfNone(source.doubled));
  const inexact = source.inexact.filter(isOfNone(others));
  return [...others, ...source.doubled, ...inexact];
}

/** One pass over the text of an event, before it is parsed. Can be used for one after the other. */
export class SourceScan {
  /** Whether all of it is ASCII, and so UTF-8 as well as Latin-1, which is read in half the time. */
  isAscii = true;
  /** Outside of strings. */
  #colons = 0;
  /** Whether a number has so many digits, or an exponent, that a double may be another one. */
  #hasLongNumber = false;

  /** Reads the text from `start` to `end` of `bytes`, which may be anything. */
  read(bytes: Uint8Array, start: number, end: number): void {
    let all = 0;
    let colons = 0;
    let run = 0;
    let hasLongNumber = false;
    for (let p = start; p < end; p++) {
      let byte = bytes[p];
      if (byte === QUOTE) {
        run = 0;
        for (p++; p < end; p++) {
          byte = bytes[p];
          if (byte === QUOTE) break;
          all |= byte;
          if (byte === BACKSLASH && ++p < end) all |= bytes[p];
        }
      } else if ((byte >= ZERO && byte <= NINE) || byte === POINT) {
        if (++run === LONG_NUMBER_CHARS) hasLongNumber = true;
      } else {
        all |= byte;
        if (byte === COLON) colons++;
        else if (run > 0 && (byte === LOWER_E || byte === UPPER_E)) hasLongNumber = true;
        run = 0;
      }
    }
    this.isAscii = all <= ASCII_MAX;
    this.#colons = colons;
    this.#hasLongNumber = hasLongNumber;
  }

  /** What JSON.parse dropped when it made `value` of `text`, what was read last; `undefined` = nothing. */
  faults(value: unknown, text: string): SourceFaults | undefined {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
    if (!this.#hasLongNumber && this.#colons === membersOf(value)) return undefined;
    return new MemberScan(text).faults();
  }
}

function membersOf(value: object): number {
  let members = 0;
  for (const _name in value) members++;
  return members;
}

/** Goes through the members of one object, which is valid JSON. */
class MemberScan {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  faults(): SourceFaults | undefined {
    const doubled: BodyFault[] = [];
    const inexact: BodyFault[] = [];
    let seen = 0;
    let seenTwice = 0;
    for (let name = this.#nextName(); name !== undefined; name = this.#nextName()) {
      const source = this.#numberOrSkip();
      const member = MEMBERS.get(name) ?? 0;
      if ((seen & member) !== 0 && (seenTwice & member) === 0) {
        seenTwice |= member;
        doubled.push({
          pointer: `/${name}`,
          detail: `${name} stands more than once in the object.`,
        });
      }
      seen |= member;
      if (source === undefined || member === 0) continue;
      const value = Number(source);
      if (Number.isFinite(value) && !isExact(source, value)) {
        inexact.push({ pointer: `/${name}`, detail: inexactDetail(name, source, value) });
      }
    }
    if (doubled.length === 0 && inexact.length === 0) return undefined;
    return { doubled, inexact: inexact.filter(isOfNone(doubled)) };
  }

  /** The next member's name; its value is next then. `undefined` behind the last one. */
  #nextName(): string | undefined {
    const text = this.#text;
    const start = text.indexOf('"', this.#at);
    if (start < 0) return undefined;
    const end = this.#endOfString(start);
    this.#at = text.indexOf(':', end) + 1;
    const name = text.slice(start + 1, end);
    return name.includes('\\') ? JSON.parse(`"${name}"`) : name;
  }

  /** Passes over a value and the comma behind it; returns its text if it is a number. */
  #numberOrSkip(): string | undefined {
    const text = this.#text;
    while (text.charCodeAt(this.#at) <= SPACE) this.#at++;
    const start = this.#at;
    const first = text.charCodeAt(start);
    let depth = 0;
    let p = start;
    for (; p < text.length; p++) {
      const unit = text.charCodeAt(p);
      if (unit === QUOTE) p = this.#endOfString(p);
      else if (isOpening(unit)) depth++;
      else if (isClosing(unit)) depth--;
      // At −1 the object itself has ended.
      if (depth < 0 || (depth === 0 && unit === COMMA)) break;
    }
    this.#at = p;
    if (first !== MINUS && !(first >= ZERO && first <= NINE)) return undefined;
    return text.slice(start, p).trimEnd();
  }

  #endOfString(at: number): number {
    const text = this.#text;
    let p = at + 1;
    for (let unit = text.charCodeAt(p); unit !== QUOTE; unit = text.charCodeAt(p)) {
      p += unit === BACKSLASH ? 2 : 1;
    }
    return p;
  }
}

/** Picks faults of members of which `list` has none. */
function isOfNone(list: readonly BodyFault[]): (fault: BodyFault) => boolean {
  return ({ pointer }) => !list.some((other) => other.pointer === pointer);
}

function isOpening(byte: number): boolean {
  return byte === 0x5b || byte === 0x7b;
}

function isClosing(byte: number): boolean {
  return byte === 0x5d || byte === 0x7d;
}
