/**
 * All products as one answer, one JSON line each, while writers go on. Main thread. Flow control: a
 * slice is made when the client has taken the ones before, so what is held for it is one slice above
 * the socket's high-water mark (and the compressor's), whatever the catalogue's size and the client's
 * speed.
 *
 * A client that stops reading is cut off by the server's socket timeout. Once the service is
 * stopping, an export has a second to end; what is cut off lacks the last chunk of its body, which the
 * client's HTTP library reports.
 */

import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { RETRY_MS_MAX } from '../../later-turns.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import type { CatalogueWalk } from '../../store/product-catalogue.ts';
import { productJson } from './product-json.ts';
import type { SliceQueue } from './slice-queue.ts';

/** Entries passed in one turn of the event loop: some 100 µs. */
export const SLICE_ENTRIES = 256;

/** How often it looks whether the service is stopping, and how long it may go on then. */
const LOOK_MS = 250;
const STOPPING_LOOKS_MAX = 4;

export interface CatalogueExportOptions {
  readonly walk: CatalogueWalk;
  readonly isFull: boolean;
  /** Its headers are set. */
  readonly response: ServerResponse;
  /** What the export writes and ends: the response, or what compresses for it. */
  readonly body: Writable;
  readonly slices: SliceQueue;
  readonly lifecycle: Lifecycle;
}

export class CatalogueExport {
  readonly #options: CatalogueExportOptions;
  readonly #slice = (): void => this.#writeSlice();
  /** Since when (monotonic ms) one entry is held by its writer. */
  #busySinceMs: number | undefined;
  #stoppingLooks = 0;

  private constructor(options: CatalogueExportOptions) {
    this.#options = options;
  }

  /** Begins on a later turn; goes on by itself until the end or until the client goes. */
  static start(options: CatalogueExportOptions): void {
    const { response, slices } = options;
    const running = new CatalogueExport(options);
    const looking = setInterval(() => running.#look(), LOOK_MS);
    response.once('close', () => clearInterval(looking));
    slices.put(running.#slice);
  }

  #writeSlice(): void {
    const { response, body, slices } = this.#options;
    if (response.destroyed || body.destroyed) return;
    try {
      const { lines, isEnd } = this.#readSlice();
      if (isEnd) {
        body.end(lines);
      } else if (lines === '' || body.write(lines)) {
        slices.put(this.#slice);
      } else {
        body.once('drain', () => slices.put(this.#slice));
      }
    } catch (error) {
      // The headers are out: only a broken body can say so to the client.
      response.destroy(error as Error);
    }
  }

  #readSlice(): { readonly lines: string; readonly isEnd: boolean } {
    const { walk, isFull } = this.#options;
    let lines = '';
    for (let i = 0; i < SLICE_ENTRIES; i++) {
      const step = walk.next();
      if (step === 'end') return { lines, isEnd: true };
      if (step === 'busy') {
        this.#busySinceMs ??= performance.now();
        if (performance.now() - this.#busySinceMs > RETRY_MS_MAX) {
          throw new Error('an entry of the store is held by a writer that does not let go');
        }
        break;
      }
      this.#busySinceMs = undefined;
      if (step === 'found') lines += `${productJson(walk.id, walk.state, isFull)}\n`;
    }
    return { lines, isEnd: false };
  }

  #look(): void {
    const { lifecycle, response } = this.#options;
    if (lifecycle.phase !== 'stopping' && lifecycle.phase !== 'stopped') return;
    if (++this.#stoppingLooks > STOPPING_LOOKS_MAX) response.destroy();
  }
}
