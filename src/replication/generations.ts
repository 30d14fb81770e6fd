/** Which generations of a cluster there are: each has a stream of its own. Any thread. */
import type { NatsConnection } from '@nats-io/transport-node';
import { namesOf } from './cluster-settings.ts';

const TIMEOUT_MS = 2000;

/** The newest one; 0 = there is none. */
export async function newestGeneration(connection: NatsConnection, name: string): Promise<number> {
  const subject = `ps.${name}.*.log`;
  const options = { timeout: TIMEOUT_MS };
  const request = JSON.stringify({ subject });
  const answer = await connection.request('$JS.API.STREAM.NAMES', request, options);
  const { streams, error } = answer.json() as {
    readonly streams?: readonly string[] | null;
    readonly error?: { readonly description: string };
  };
  if (error !== undefined) throw new Error(error.description);
  const generations = (streams ?? []).map((stream) => {
    const generation = Number(stream.slice(stream.lastIndexOf('_') + 1));
    return stream === namesOf(name, generation).stream ? generation : 0;
  });
  return Math.max(0, ...generations);
}
