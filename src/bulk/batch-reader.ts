/**
 * What both readers of a batch share: the bytes that are not yet read, in one piece and of bounded
 * size, and the steps from one event's bytes to the sink. Main thread.
 *
 *    0          start                     end                            EVENT_BYTES_MAX + SLICE_BYTES
 *    ├── read ────┼──── still to be read ───┼───────────── free ─────────────┤ + 1
 *                                           └ END_OF_BYTES
 */
import { Buffer } from 'node:buffer';
import type { BodyPart } from '../dedupe/batch-receipt.ts';
import type { BodyRefused } from '../errors/body-refused.ts';
import type { BodyFault } from '../errors/problems.ts';
import type { BatchEvents } from '../event/batch-event.ts';
import type { SlotViews } from '../ring/slot.ts';
import { BodyDigest } from './body-digest.ts';
import { EventValidator } from './event-validator.ts';
import { END_OF_BYTES, HotParser, type ParseOptions } from './hot-parser.ts';

/** The longest line, or element of an array, that is looked at. */
export const EVENT_BYTES_MAX = 64 * 1024;

/** How much is copied in at once, which bounds the time of one `read`. */
export const SLICE_BYTES = 64 * 1024;

/** Events that one `read` reads the long way; each costs as much as a dozen or more hot ones. */
const LONG_WAYS_MAX = 64;

/** Of a body of which nothing is read. */
export const NOTHING: BodyPart = { events: 0, bytes: 0, crc: 0 };

const TOO_LONG: BodyFault = {
  pointer: '',
  detail: `The event must not be longer than ${EVENT_BYTES_MAX} bytes.`,
};

/** Where the events go. */
export interface EventSink {
  /** Gives the slot that the next event is to be written to; −1 = there is no room at present. */
  nextSlot(): number;
  /** The slots that `nextSlot` speaks of. */
  readonly slots: SlotViews;
  /**
   * Accepts the event in the slot that `nextSlot` gave last. `number` counts events from 1 as the
   * client does: lines, or elements of the array. `order` counts from 0, without blank lines. False
   * if it can't be decided yet: the same event will be offered again.
   */
  accept(number: number, order: number, eventId: string | undefined): boolean;
  /** The event has these faults. */
  refuse(number: number, faults: readonly BodyFault[]): void;
}

/**
 * - `hungry`: everything was read; `fill` or `end` is next.
 * - `blocked`: the sink accepts nothing at present.
 * - `more`: a share of the work is done; go on, on a later turn.
 * - `malformed`: the body is no batch; `malformation` says why. Nothing more can be read.
 * - `done`: it was read to its end.
 */
export type ReadState = 'hungry' | 'blocked' | 'more' | 'malformed' | 'done';

/** U+FEFF in UTF-8, which editors and exporters on Windows put before a text. */
const BOM = [0xef, 0xbb, 0xbf] as const;

/** What became of one event's bytes. */
type EventEnd = 'settled' | 'blocked' | 'more';

export abstract class BatchReader {
  /** What is wrong with the body as a whole. */
  malformation: BodyRefused | undefined;
  protected readonly bytes = Buffer.alloc(EVENT_BYTES_MAX + SLICE_BYTES + 1);
  protected start = 0;
  protected dataEnd = 0;
  protected isEnded = false;
  /** The number of the event that is read next, as the client counts. */
  protected number = 1;
  readonly #hot = new HotParser();
  readonly #validator: EventValidator;
  #options: ParseOptions;
  #nowMs = 0;
  #order = 0;
  #digest: BodyDigest | undefined;
  #longWays = 0;

  constructor(spansLines: boolean, events: BatchEvents) {
    this.#validator = new EventValidator(events);
    this.#options = { spansLines, stockMin: events.stockMin, latestMs: 0 };
  }

  /** Events seen so far, faulty ones included. */
  get events(): number {
    return this.#order;
  }

  /** Asks it to keep a digest of what it reads, before it reads anything. */
  keepDigest(): void {
    this.#digest = new BodyDigest();
  }

  /** What was read of the body, up to the last event that has ended; `keepDigest` comes first. */
  get part(): BodyPart {
    return this.#digest?.part(this.bytes) ?? NOTHING;
  }

  /** Events that have ended: `part.events`, at no cost. */
  get ended(): number {
    return this.#digest?.events ?? 0;
  }

  /** Copies in as much of `chunk` from `from` on as there is room for; returns how many bytes. */
  fill(chunk: Uint8Array, from: number): number {
    const left = this.dataEnd - this.start;
    if (this.start > 0) this.#digest?.moving(this.bytes, this.start);
    if (this.start > 0) this.bytes.copyWithin(0, this.start, this.dataEnd);
    const count = Math.min(chunk.length - from, EVENT_BYTES_MAX + SLICE_BYTES - left);
    this.bytes.set(chunk.subarray(from, from + count), left);
    this.start = 0;
    this.dataEnd = left + count;
    this.bytes[this.dataEnd] = END_OF_BYTES;
    return count;
  }

  /** Nothing more will come. */
  end(): void {
    this.isEnded = true;
  }

  /** After `done`: an event that was too long and never ended has ended with the body. */
  close(): void {
    this.noteEnd();
  }

  /** Reads on, as far as bytes and sink allow, for a bounded time. `nowMs` is the wall clock. */
  read(sink: EventSink, nowMs: number, latestMs: number): ReadState {
    this.#options = { ...this.#options, latestMs };
    this.#nowMs = nowMs;
    this.#longWays = 0;
    return this.readOn(sink);
  }

  protected abstract readOn(sink: EventSink): ReadState;

  /** Tries the event at `at` in its hot form; returns the position behind it, −1 = not hot. */
  protected parseHot(sink: EventSink, at: number, index: number): number {
    return this.#hot.parse(this.bytes, at, sink.slots, index, this.#options);
  }

  /** Hands the event that `parseHot` found to the sink. */
  protected acceptHot(sink: EventSink): boolean {
    const { eventIdStart, eventIdEnd } = this.#hot;
    const eventId =
      eventIdEnd === 0 ? undefined : this.bytes.toString('latin1', eventIdStart, eventIdEnd);
    return this.#accept(sink, eventId);
  }

  /** Hands the event from `at` to `end` to the sink, or what is wrong with it, the long way. */
  protected readLongWay(sink: EventSink, at: number, end: number, index: number): EventEnd {
    if (end - at > EVENT_BYTES_MAX) {
      this.refuseTooLong(sink);
      return 'settled';
    }
    if (++this.#longWays > LONG_WAYS_MAX) return 'more';
    const validator = this.#validator;
    const faults = validator.validate(this.bytes, at, end, sink.slots, index, this.#nowMs);
    if (faults === undefined) return this.#accept(sink, validator.eventId) ? 'settled' : 'blocked';
    this.#refuse(sink, faults);
    return 'settled';
  }

  /** Passes over a byte order mark; false if none is there, or too few bytes have come to see it. */
  protected skipBom(): boolean {
    const { bytes, start, dataEnd } = this;
    if (bytes[start] !== BOM[0] || start + BOM.length > dataEnd) return false;
    if (bytes[start + 1] !== BOM[1] || bytes[start + 2] !== BOM[2]) return false;
    this.start += BOM.length;
    return true;
  }

  /** Whether all bytes at hand may be the beginning of a byte order mark. */
  protected get mayBecomeBom(): boolean {
    const { bytes, start, dataEnd } = this;
    return (
      dataEnd - start < BOM.length &&
      BOM.slice(0, dataEnd - start).every((byte, i) => byte === bytes[start + i])
    );
  }

  protected refuseTooLong(sink: EventSink): void {
    this.#refuse(sink, [TOO_LONG]);
  }

  /** What was accepted or refused last has been passed: the next byte is at `start`. */
  protected noteEnd(): void {
    this.#digest?.ended(this.#order, this.start);
  }

  #accept(sink: EventSink, eventId: string | undefined): boolean {
    if (!sink.accept(this.number, this.#order, eventId)) return false;
    this.#order++;
    return true;
  }

  #refuse(sink: EventSink, faults: readonly BodyFault[]): void {
    this.#order++;
    sink.refuse(this.number, faults);
  }
}
