/** The retail events in test/data and the state they must end in; see the README there. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { EventBody } from '../clients/api-client.ts';

export interface RetailState {
  readonly id: string;
  readonly price: number;
  readonly stock: number;
}

/** The events in event time. */
export function retailEvents(): EventBody[] {
  return read('retail-20000-events.ndjson.gz');
}

/** The state of every product after all of them, whatever their order; sorted by id. */
export function retailFinal(): RetailState[] {
  return read('retail-20000-final.ndjson.gz');
}

function read<T>(name: string): T[] {
  const bytes = readFileSync(new URL(`../../data/${name}`, import.meta.url));
  const lines = gunzipSync(bytes).toString('utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as T);
}
