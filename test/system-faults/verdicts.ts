/** What a client finds while a service's storage fails, and how long a test waits for that. */
import type { Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { type ApiClient, codeOf } from '../helpers/clients/api-client.ts';
import type { Tally } from '../helpers/clients/writers.ts';

export const VERDICT_MS_MAX = 60_000;

/** Waits until /readyz is green, or red because of the storage. */
export async function readiness(client: ApiClient, colour: 'red' | 'green'): Promise<void> {
  await polled(
    async () => {
      const answer = await client.get('/readyz');
      if (answer.status === 200) return colour === 'green' || undefined;
      return (colour === 'red' && codeOf(answer) === 'storage-unavailable') || undefined;
    },
    VERDICT_MS_MAX,
    `/readyz to be ${colour}`,
  );
}

/** Checks that a new write is refused, and that the refusal is final. */
export async function refusedWrites(t: Test, client: ApiClient): Promise<void> {
  const answer = await client.post({ product_id: 'refused', price: 1, stock: 1 });
  t.match(
    { status: answer.status, ...JSON.parse(answer.text) },
    { status: 503, code: 'storage-unavailable', outcome: 'none' },
    'a new write is refused',
  );
  t.ok(Number(answer.headers['retry-after']) >= 1, 'with the time to come back after');
  t.equal(await client.product('refused'), undefined, 'and it does not show');
}

export function sum(tally: Tally, outcome: string): number {
  return tally[outcome] ?? 0;
}
