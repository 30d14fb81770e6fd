/**
 * Reads a batch that is one JSON array of events, element by element. What stands between the
 * elements is checked here; a fault there makes the whole body no JSON. A byte order mark before all of
 * it is passed over. Main thread.
 */

import { BodyRefused } from '../errors/body-refused.ts';
import type { BatchEvents } from '../event/batch-event.ts';
import { BatchReader, EVENT_BYTES_MAX, type EventSink, type ReadState } from './batch-reader.ts';
import { ElementScanner, isSpace } from './element-scanner.ts';

const COMMA = 0x2c;
const OPENING_BRACKET = 0x5b;
const CLOSING_BRACKET = 0x5d;

/** What comes next: `body` the first byte, `start` the opening bracket, `first` an element or the end, … `end` nothing. */
type Expected = 'body' | 'start' | 'first' | 'element' | 'comma' | 'end';

export class ArrayReader extends BatchReader {
  #expected: Expected = 'body';
  readonly #scanner = new ElementScanner();
  /** The rest of an element that is too long is passed over. */
  #isSkipping = false;

  constructor(events: BatchEvents) {
    super(true, events);
  }

  protected override readOn(sink: EventSink): ReadState {
    if (this.#expected === 'body') {
      if (!this.isEnded && this.mayBecomeBom) return 'hungry';
      this.skipBom();
      this.#expected = 'start';
    }
    for (;;) {
      if (this.#isSkipping && !this.#skip()) return this.#starved();
      while (this.start < this.dataEnd && isSpace(this.bytes[this.start])) this.start++;
      if (this.start === this.dataEnd) return this.#starved();
      if (this.#expected === 'first' || this.#expected === 'element') {
        const state = this.#element(sink);
        if (state !== undefined) return state;
      } else if (!this.#punctuation(this.bytes[this.start])) return 'malformed';
    }
  }

  /** Passes over what stands between elements; false if something else stands there. */
  #punctuation(byte: number): boolean {
    if (this.#expected === 'start') {
      if (byte !== OPENING_BRACKET) return this.#isNoBatch();
      this.#expected = 'first';
    } else if (this.#expected === 'comma' && byte === COMMA) this.#expected = 'element';
    else if (this.#expected === 'comma' && byte === CLOSING_BRACKET) this.#expected = 'end';
    else return this.#isNoJson();
    this.start++;
    return true;
  }

  /** Deals with one element, or the end of an empty array; a state if it can't go on behind it. */
  #element(sink: EventSink): ReadState | undefined {
    const { bytes, start, dataEnd } = this;
    if (this.#expected === 'first' && bytes[start] === CLOSING_BRACKET) {
      this.#expected = 'end';
      this.start++;
      return undefined;
    }
    const index = sink.nextSlot();
    if (index < 0) return 'blocked';
    const hotEnd = this.parseHot(sink, start, index);
    if (hotEnd >= 0 && hotEnd - start <= EVENT_BYTES_MAX) {
      if (!this.acceptHot(sink)) return 'blocked';
      this.#next(hotEnd);
      return undefined;
    }

    this.#scanner.begin();
    const end = this.#scanner.scan(bytes, start, dataEnd);
    if (end < 0) {
      if (this.isEnded || dataEnd - start <= EVENT_BYTES_MAX) return this.#starved();
      this.refuseTooLong(sink);
      this.#isSkipping = true;
      this.start = dataEnd;
      return undefined;
    }
    if (end === start) {
      this.#isNoJson();
      return 'malformed';
    }
    const ended = this.readLongWay(sink, start, end, index);
    if (ended !== 'settled') return ended;
    this.#next(end);
    return undefined;
  }

  #next(end: number): void {
    this.number++;
    this.start = end;
    this.#expected = 'comma';
    this.noteEnd();
  }

  /** False when the element that is too long goes on. */
  #skip(): boolean {
    const end = this.#scanner.scan(this.bytes, this.start, this.dataEnd);
    if (end < 0) {
      this.start = this.dataEnd;
      return false;
    }
    this.#isSkipping = false;
    this.#next(end);
    return true;
  }

  #starved(): ReadState {
    if (!this.isEnded) return 'hungry';
    if (this.#expected === 'end') return 'done';
    const detail = 'The body is not valid JSON: it ends too early.';
    this.malformation = new BodyRefused('invalid-json', detail);
    return 'malformed';
  }

  #isNoBatch(): false {
    this.malformation = new BodyRefused('invalid-batch', 'The body must be a JSON array.');
    return false;
  }

  #isNoJson(): false {
    const place = this.number === 1 ? 'before its first event' : `behind event ${this.number - 1}`;
    const detail = `The body is not valid JSON: the fault is ${place}.`;
    this.malformation = new BodyRefused('invalid-json', detail);
    return false;
  }
}
