/** Clients that read in closed loops, one connection each, while others write. */
import { ApiClient, errorCode } from './api-client.ts';
import type { Tally } from './writers.ts';

export interface ReadersOptions {
  readonly port: number;
  readonly connections: number;
  /** Reads of each connection at the most. */
  readonly readsMax: number;
  /** Asked before each read. */
  readonly isOver?: () => boolean;
}

/**
 * Reads what the writers write until over or, each by itself, until its connection fails. Counts
 * the answers by status (`200 torn` for a state of two events), and errors by name.
 */
export async function read(options: ReadersOptions): Promise<Tally> {
  const tally: Tally = {};
  const lanes = Array.from({ length: options.connections }, (_, lane) =>
    readLane(options, `lane ${lane}/0`, tally),
  );
  await Promise.all(lanes);
  return tally;
}

async function readLane(options: ReadersOptions, id: string, tally: Tally): Promise<void> {
  const client = new ApiClient(options.port);
  const path = `/api/v1/products/${encodeURIComponent(id)}`;
  for (let sent = 0; sent < options.readsMax && options.isOver?.() !== true; sent++) {
    const outcome = await client.get(path).then(({ status, text }) => {
      return status === 200 && isTorn(text) ? '200 torn' : String(status);
    }, errorCode);
    tally[outcome] = (tally[outcome] ?? 0) + 1;
    if (!/^\d{3}/.test(outcome)) break;
  }
  client.close();
}

/** Attempt n of a product writes stock n and price n / 4: see the ledger. */
function isTorn(text: string): boolean {
  const { price, stock } = JSON.parse(text) as { price: number; stock: number };
  return price !== stock / 4;
}
