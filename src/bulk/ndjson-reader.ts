/**
 * Reads a batch of one JSON event a line. Lines end with \n or \r\n, the last one with nothing if it
 * likes; blank ones are passed over, and so are byte order marks before a line: files that begin with
 * one may have been put together. Main thread.
 */
import type { BatchEvents } from '../event/batch-event.ts';
import { BatchReader, EVENT_BYTES_MAX, type EventSink, type ReadState } from './batch-reader.ts';
import { NEWLINE } from './hot-parser.ts';

const SPACE = 0x20;
const TAB = 0x09;
const RETURN = 0x0d;

export class NdjsonReader extends BatchReader {
  /** The rest of a line that is too long is passed over. */
  #isSkipping = false;

  constructor(events: BatchEvents) {
    super(false, events);
  }

  protected override readOn(sink: EventSink): ReadState {
    for (;;) {
      if (this.#isSkipping && !this.#skip()) return this.isEnded ? 'done' : 'hungry';
      const { bytes, start, dataEnd } = this;
      if (start === dataEnd) return this.isEnded ? 'done' : 'hungry';
      const index = sink.nextSlot();
      if (index < 0) return 'blocked';
      const hotEnd = this.parseHot(sink, start, index);
      if (hotEnd >= 0) {
        const end = behindBlanks(bytes, hotEnd);
        const isWhole = end === dataEnd ? this.isEnded : bytes[end] === NEWLINE;
        if (isWhole && end - start <= EVENT_BYTES_MAX) {
          if (!this.acceptHot(sink)) return 'blocked';
          this.#next(end);
          continue;
        }
      }

      if (this.skipBom()) continue;
      let end = bytes.indexOf(NEWLINE, start);
      if (end < 0 || end >= dataEnd) {
        if (!this.isEnded) {
          if (dataEnd - start > EVENT_BYTES_MAX) this.#isSkipping = true;
          else return 'hungry';
          this.refuseTooLong(sink);
          continue;
        }
        end = dataEnd;
      }
      if (behindBlanks(bytes, start) < end) {
        const ended = this.readLongWay(sink, start, end, index);
        if (ended !== 'settled') return ended;
      }
      this.#next(end);
    }
  }

  /** The line that ends at `end` is dealt with. */
  #next(end: number): void {
    this.number++;
    this.start = Math.min(end + 1, this.dataEnd);
    this.noteEnd();
  }

  /** False when the line that is too long goes on. */
  #skip(): boolean {
    const { bytes, start, dataEnd } = this;
    const end = bytes.indexOf(NEWLINE, start);
    if (end < 0 || end >= dataEnd) {
      this.start = dataEnd;
      return false;
    }
    this.#isSkipping = false;
    this.#next(end);
    return true;
  }
}

function behindBlanks(bytes: Uint8Array, at: number): number {
  let p = at;
  while (bytes[p] === SPACE || bytes[p] === TAB || bytes[p] === RETURN) p++;
  return p;
}
