/**
 * The bytes of a feed that are read and not yet converted, in one piece: a block's and a record's worth, whatever
 * the feed's length. Main thread.
 */
import { BLOCK_BYTES, type Block, type Converter, RECORD_BYTES_MAX } from '../../feeds/feed.ts';
import { YoungGeneration } from './young-generation.ts';

const WINDOW_BYTES = BLOCK_BYTES + RECORD_BYTES_MAX;

export class FeedWindow {
  #bytes: Buffer = Buffer.alloc(0);
  #isEnded = false;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #young = new YoungGeneration();

  constructor(chunks: AsyncIterable<Buffer>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** What the feed begins with, at least a block if it has so much; nothing is taken away. */
  async sample(): Promise<{ readonly bytes: Buffer; readonly isWhole: boolean }> {
    await this.#fill(WINDOW_BYTES);
    return { bytes: this.#bytes, isWhole: this.#isEnded };
  }

  /** Passes over so many bytes. */
  skip(bytes: number): void {
    this.#bytes = this.#bytes.subarray(bytes);
  }

  /** Blocks up to the end of the feed; the last one may be empty. */
  async *blocks(converter: Converter): AsyncGenerator<Block> {
    let wanted = WINDOW_BYTES;
    for (;;) {
      await this.#fill(wanted);
      const block = converter.convert(this.#bytes, this.#isEnded);
      if (block === undefined) {
        wanted = 2 * this.#bytes.length;
        continue;
      }
      wanted = WINDOW_BYTES;
      this.#bytes = this.#bytes.subarray(block.consumed);
      this.#young.limit();
      yield block;
      if (this.#isEnded && this.#bytes.length === 0) return;
    }
  }

  /** Ends the reading of the feed before its end. */
  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  async #fill(wanted: number): Promise<void> {
    let length = this.#bytes.length;
    if (length >= wanted || this.#isEnded) return;
    const parts = [this.#bytes];
    while (length < wanted) {
      const { done, value } = await this.#chunks.next();
      if (done === true) {
        this.#isEnded = true;
        break;
      }
      parts.push(value);
      length += value.length;
    }
    this.#bytes = Buffer.concat(parts, length);
  }
}
