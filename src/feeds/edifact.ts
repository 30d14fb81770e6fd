/**
 * EDIFACT's PRICAT (prices) and INVRPT (stocks): separators by UNA, characters by UNB, an event for each LIN. The
 * price is PRI+AAA, net, divided by its unit price basis; the stock is QTY+145, actual stock, those of several
 * places added up. An interchange counts when UNZ has come. Pure, any thread.
 */
import { FeedError } from './feed.ts';
import { asciiText } from './identifiers.ts';
import { quotient, readDecimal, readWhole } from './numbers.ts';
import { StreamConverter } from './stream-converter.ts';

/** A line that is cut into a segment of more is none. */
const SEGMENT_CHARS_MAX = 64 * 1024;
const ACTION_DELETION = '2';

export interface EdifactOptions {
  readonly occurredAt: string;
  /** `occurredAt` was asked for, so that it counts before the message's own time. */
  readonly isTimeAsked: boolean;
  /** Messages of another type are refused; `undefined` = either. */
  readonly message: 'PRICAT' | 'INVRPT' | undefined;
}

/** What separates, as UNA says. */
interface Marks {
  readonly component: string;
  readonly element: string;
  readonly decimal: '.' | ',';
  readonly release: string;
  readonly terminator: string;
}

const DEFAULT_MARKS: Marks = {
  component: ':',
  element: '+',
  decimal: '.',
  release: '?',
  terminator: "'",
};

interface Line {
  /** Number of the segment. */
  readonly line: number;
  id: string;
  price: string;
  stock: bigint | undefined;
  fault: string | undefined;
  skip: string | undefined;
}

type Segment = readonly (readonly string[])[];

export class EdifactConverter extends StreamConverter {
  readonly #options: EdifactOptions;
  #marks: Marks = DEFAULT_MARKS;
  #rest = '';
  #segments = 0;
  #isUtf8 = false;
  #hasBegun = false;
  #hasEnded = false;
  #isInMessage = false;
  #line: Line | undefined;
  #occurredAt = '';

  constructor(options: EdifactOptions) {
    super();
    this.#options = options;
  }

  protected override read(bytes: Buffer): void {
    // Byte by byte: marks are ASCII in every charset that UNB may name, and texts are decoded one by one.
    let text = this.#rest + bytes.toString('latin1');
    if (!this.#hasBegun) text = this.#begin(text);
    const { terminator, release } = this.#marks;
    let start = 0;
    for (let at = start; ; at++) {
      at = text.indexOf(terminator, at);
      if (at < 0) break;
      if (isReleased(text, at, start, release)) continue;
      // CR and LF between segments are no data.
      const segment = text.slice(start, at).replace(/^[\r\n ]+/, '');
      start = at + 1;
      this.#segments++;
      if (segment.length > SEGMENT_CHARS_MAX) throw new FeedError(this.#at('is too long'));
      this.#segment(this.#split(segment));
    }
    this.#rest = text.slice(start);
    if (this.#rest.length > SEGMENT_CHARS_MAX) throw new FeedError(this.#at('has no end'));
  }

  protected override end(): void {
    if (!this.#hasEnded) throw new FeedError('the interchange ends before its UNZ');
    if (this.#rest.trim() !== '') throw new FeedError('something stands behind the UNZ');
  }

  #begin(text: string): string {
    this.#hasBegun = true;
    const start = text.replace(/^\s+/, '');
    if (!start.startsWith('UNA')) return start;
    const [component = '', element = '', decimal, release = '', , terminator = ''] = start.slice(
      3,
      9,
    );
    const mark = decimal === ',' ? ',' : '.';
    this.#marks = { component, element, decimal: mark, release, terminator };
    return start.slice(9);
  }

  #split(segment: string): Segment {
    const { component, element, release } = this.#marks;
    const elements: string[][] = [[]];
    let part = '';
    for (let i = 0; i <= segment.length; i++) {
      const unit = segment[i];
      if (unit === release && release !== ' ') {
        part += segment[++i] ?? '';
      } else if (unit === undefined || unit === element || unit === component) {
        elements[elements.length - 1].push(this.#isUtf8 ? utf8(part) : part);
        part = '';
        if (unit === element) elements.push([]);
      } else part += unit;
    }
    return elements;
  }

  #segment(segment: Segment): void {
    const tag = segment[0][0];
    if (this.#hasEnded && tag !== 'UNA' && tag !== 'UNB') {
      throw new FeedError(this.#at(`is ${asciiText(tag)}, behind the UNZ`));
    }
    if (tag === 'UNB') {
      this.#isUtf8 = /^UNO[WY]$/.test(segment[1]?.[0] ?? '');
      this.#hasEnded = false;
    } else if (tag === 'UNH') this.#message(segment[2]?.[0] ?? '');
    else if (tag === 'DTM') this.#time(segment[1] ?? []);
    else if (tag === 'LIN') this.#begun(segment);
    else if (tag === 'PIA') this.#named(segment);
    else if (tag === 'PRI') this.#priced(segment[1] ?? []);
    else if (tag === 'QTY') this.#counted(segment[1] ?? []);
    else if (tag === 'UNS' || tag === 'UNT') {
      this.#ended();
      if (tag === 'UNT') this.#isInMessage = false;
    } else if (tag === 'UNZ') {
      if (this.#isInMessage) throw new FeedError(this.#at('is UNZ, in the middle of a message'));
      this.#hasEnded = true;
    }
  }

  #message(type: string): void {
    const { message } = this.#options;
    if ((type !== 'PRICAT' && type !== 'INVRPT') || (message !== undefined && type !== message)) {
      throw new FeedError(
        `it has a message ${asciiText(type)}, not ${message ?? 'PRICAT or INVRPT'}`,
      );
    }
    this.#isInMessage = true;
    this.#occurredAt = this.#options.occurredAt;
  }

  /** The message's date, before its first LIN. */
  #time([qualifier, text = '', format]: readonly string[]): void {
    if (qualifier !== '137' || this.#line !== undefined || this.#options.isTimeAsked) return;
    const [, year, month, day, hour = '00', minute = '00', second = '00'] =
      /^(\d{4})(\d\d)(\d\d)(?:(\d\d)(\d\d)(\d\d)?)?$/.exec(text) ?? [];
    if (year === undefined || !/^(?:102|203|204)$/.test(format ?? '')) return;
    this.#occurredAt = `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
  }

  #begun([, , action, item]: Segment): void {
    this.#ended();
    const isEan = item?.[1] === 'EN' || item?.[1] === 'SRV';
    this.#line = {
      line: this.#segments,
      id: isEan ? (item?.[0] ?? '') : '',
      price: '',
      stock: undefined,
      fault: undefined,
      skip:
        action?.[0] === ACTION_DELETION
          ? 'to be deleted: product-service put ID --delete does that'
          : undefined,
    };
  }

  /** The supplier's number, where LIN has none. */
  #named([, , ...numbers]: Segment): void {
    const line = this.#line;
    if (line === undefined || line.id !== '') return;
    line.id = numbers.find(([, type]) => type === 'SA')?.[0] ?? '';
  }

  #priced([qualifier, amount = '', , , basis = '1']: readonly string[]): void {
    const line = this.#line;
    if (line === undefined || qualifier !== 'AAA') return;
    const price = this.#number(amount);
    const units = this.#number(basis === '' ? '1' : basis);
    const unitPrice =
      price === undefined || units === undefined ? undefined : quotient(price, units);
    if (unitPrice === undefined) {
      line.fault = `the price ${asciiText(amount)} for ${asciiText(basis)} is not an exact number`;
    } else if (line.price !== '' && line.price !== unitPrice) {
      line.fault = `it has several net prices, ${line.price} and ${unitPrice}`;
    } else line.price = unitPrice;
  }

  #counted([qualifier, text = '']: readonly string[]): void {
    const line = this.#line;
    if (line === undefined || qualifier !== '145') return;
    const stock = readWhole(text, text.includes(',') ? ',' : '.');
    if (stock === undefined) line.fault = `the stock ${asciiText(text)} is no whole number`;
    else line.stock = (line.stock ?? 0n) + BigInt(stock);
  }

  /** Both marks are in use, whatever UNA says. */
  #number(text: string): string | undefined {
    return readDecimal(text, text.includes(',') ? ',' : '.');
  }

  #ended(): void {
    const line = this.#line;
    this.#line = undefined;
    if (line === undefined) return;
    const stock = line.stock === undefined ? '' : String(line.stock);
    this.found({ ...line, stock, occurredAt: this.#occurredAt });
  }

  #at(what: string): string {
    return `segment ${this.#segments} ${what}`;
  }
}

/** Whether the mark at `at` is data: an odd number of release characters stands before it. */
function isReleased(text: string, at: number, start: number, release: string): boolean {
  if (release === ' ') return false;
  let p = at;
  while (p > start && text[p - 1] === release) p--;
  return (at - p) % 2 === 1;
}

function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8');
}
