/**
 * Prior prices of all products as one answer, one JSON line each. Main thread; the history's thread reads a
 * slice at a time, and the next one only when the client has taken the one before. A client that goes, and
 * a stop of the service, end it as they end any export: see catalogue-export.ts.
 */
import type { ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import type { PriorPriceRule } from '../../history/prior-price.ts';
import { RETRY_MS_MAX } from '../../later-turns.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import type { CatalogueWalk } from '../../store/product-catalogue.ts';
import { isStopping } from '../guards/phase-guard.ts';
import type { History } from '../seams/history.ts';
import { type Present, priorPrices } from './prior-prices.ts';

/** Products asked for at a time: some milliseconds of the history's thread. */
const SLICE_PRODUCTS = 128;
/** Entries passed in one turn of the event loop, listed or not. */
const SLICE_ENTRIES = 256;

export interface PriorPriceExportOptions {
  readonly walk: CatalogueWalk;
  readonly rule: PriorPriceRule;
  readonly history: History;
  /** Its headers are set. */
  readonly response: ServerResponse;
  /** What the export writes and ends: the response, or what compresses for it. */
  readonly body: Writable;
  readonly lifecycle: Lifecycle;
}

/** Writes it; resolves when it has ended, whichever way. Never rejects. */
export async function exportPriorPrices(options: PriorPriceExportOptions): Promise<void> {
  const { walk, rule, history, response, body, lifecycle } = options;
  const isOver = () => response.destroyed || body.destroyed;
  try {
    for (let isEnd = false; !isEnd && !isOver(); ) {
      if (isStopping(lifecycle)) throw new Error('the service is stopping');
      const slice = await readSlice(walk);
      isEnd = slice.isEnd;
      if (slice.present.length === 0) continue;
      const lines = await priorPrices(history, slice.present, rule);
      if (isOver()) return;
      if (!body.write(`${lines.join('\n')}\n`)) await drained(body);
    }
    body.end();
  } catch (error) {
    // The headers are out: only a broken body can say so to the client.
    response.destroy(error as Error);
  }
}

async function readSlice(
  walk: CatalogueWalk,
): Promise<{ readonly present: readonly Present[]; readonly isEnd: boolean }> {
  const present: Present[] = [];
  const startMs = performance.now();
  for (let passed = 0; passed < SLICE_ENTRIES && present.length < SLICE_PRODUCTS; ) {
    const step = walk.next();
    if (step === 'end') return { present, isEnd: true };
    if (step === 'busy') {
      if (performance.now() - startMs > RETRY_MS_MAX) {
        throw new Error('an entry of the store is held by a writer that does not let go');
      }
      await new Promise(setImmediate);
      continue;
    }
    passed++;
    if (step === 'found') {
      const { price, seq } = walk.state;
      present.push({ id: walk.id, price, seq });
    }
  }
  return { present, isEnd: false };
}

/** Resolves when there is room again, or nobody is left to take anything. */
function drained(body: Writable): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      body.off('drain', done);
      body.off('close', done);
      resolve();
    };
    body.once('drain', done);
    body.once('close', done);
  });
}
