/** Creates a cluster, once: its stream, and GENESIS as the first message in it. Main thread, by a command. */
import { randomBytes, randomInt } from 'node:crypto';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { type ClusterSettings, type Genesis, namesOf, packGenesis } from './cluster-settings.ts';
import { CLUSTER_BYTES } from './message.ts';
import { NO_STREAM, StreamApi, StreamError } from './stream-api.ts';

const TIMEOUT_MS = 5000;
const SMALLEST_WINDOW_NS = 100_000_000;

export interface StreamSize {
  /** Servers that have a copy: 1, 3 or 5. */
  readonly replicas: number;
  /**
   * What the stream keeps, reserved on each server: the oldest makes room. An instance that was away for
   * longer than this lasts has to begin from another's backup; nothing is lost, all have it in their logs.
   */
  readonly bytesMax: number;
}

/**
 * Creates it and returns what it was begun with. Throws, in one line, where there is one already: two
 * commands at once can't both begin it, because GENESIS is only taken as the first message.
 */
export async function beginCluster(
  connection: NatsConnection,
  name: string,
  settings: ClusterSettings,
  { replicas, bytesMax }: StreamSize,
): Promise<Genesis> {
  const { stream, log, tail } = namesOf(name);
  const api = new StreamApi(connection, stream);
  const exists = await api.info().then(
    () => true,
    (error: unknown) => {
      if (error instanceof StreamError && error.code === NO_STREAM) return false;
      throw error;
    },
  );
  if (exists) throw new Error(`the cluster ${name} exists already`);
  await api.create({
    subjects: [log],
    retention: 'limits',
    storage: 'file',
    discard: 'old',
    max_bytes: bytesMax,
    max_msgs: -1,
    max_age: 0,
    max_consumers: -1,
    num_replicas: replicas,
    duplicate_window: SMALLEST_WINDOW_NS,
    allow_direct: true,
    deny_delete: true,
    republish: { src: log, dest: tail },
  });
  const genesis: Genesis = {
    ...settings,
    id: randomBytes(CLUSTER_BYTES).toString('hex'),
    hashKey: { k0: randomInt(-(2 ** 31), 2 ** 31), k1: randomInt(-(2 ** 31), 2 ** 31) },
  };
  const first = headers();
  first.set('Nats-Expected-Last-Sequence', '0');
  const message = packGenesis(genesis, Date.now());
  const answer = await connection.request(log, message, { timeout: TIMEOUT_MS, headers: first });
  const { error } = answer.json() as { error?: { description: string } };
  if (error !== undefined)
    throw new Error(`the cluster ${name} was not begun: ${error.description}`);
  return genesis;
}
