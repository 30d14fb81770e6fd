/** Creates a cluster, once: its stream, and GENESIS as the first message in it. Main thread, by a command. */
import { randomBytes, randomInt } from 'node:crypto';
import { headers, type NatsConnection } from '@nats-io/transport-node';
import { type ClusterSettings, type Genesis, namesOf, packGenesis } from './cluster-settings.ts';
import { newestGeneration } from './generations.ts';
import { CLUSTER_BYTES } from './message.ts';
import { StreamApi } from './stream-api.ts';

type Names = ReturnType<typeof namesOf>;

const TIMEOUT_MS = 5000;
const SMALLEST_WINDOW_NS = 100_000_000;

export interface StreamSize {
  /** Servers that have a copy: 1, 3 or 5. */
  readonly replicas: number;
  /**
   * What the stream takes, reserved on each server. Instances remove what they have (trim-plan.ts); one that
   * was away for longer than the rest lasts joins anew. A full stream takes nothing more: nothing that is needed goes.
   */
  readonly bytesMax: number;
}

/**
 * Creates it and returns what it was begun with. Throws, in one line, where there is one already: two
 * commands at once can't both begin it, because GENESIS is only taken as the first message. A stream without any is
 * what a command that was cut off has left: this one goes on with it.
 */
export async function beginCluster(
  connection: NatsConnection,
  name: string,
  settings: ClusterSettings,
  size: StreamSize,
): Promise<Genesis> {
  const names = namesOf(name);
  const api = new StreamApi(connection, names.stream);
  const newest = await newestGeneration(connection, name);
  if (newest > 1 || (newest === 1 && !(await isEmpty(api)))) {
    throw new Error(`the cluster ${name} exists already`);
  }
  if (newest === 0) await createStream(api, names, size);
  else await checkStream(api, size);
  const genesis: Genesis = {
    ...settings,
    id: randomBytes(CLUSTER_BYTES).toString('hex'),
    hashKey: { k0: randomInt(-(2 ** 31), 2 ** 31), k1: randomInt(-(2 ** 31), 2 ** 31) },
  };
  await publishGenesis(connection, names, genesis);
  return genesis;
}

/** Creates the stream of a generation. Throws StreamError where there is one of that name. */
export async function createStream(
  api: StreamApi,
  { log, tail }: Names,
  { replicas, bytesMax }: StreamSize,
): Promise<void> {
  await api.create({
    subjects: [log],
    retention: 'limits',
    storage: 'file',
    discard: 'new',
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
}

/** Throws where the stream that is there, and empty, is another one than is wanted now. */
export async function checkStream(
  api: StreamApi,
  { replicas, bytesMax }: StreamSize,
): Promise<void> {
  const { num_replicas: copies, max_bytes: bytes } = (await api.info()).config;
  if (copies === replicas && bytes === bytesMax) return;
  throw new Error(
    `a command that was cut off has created the stream with --replicas ${copies} --size ${bytes}: go on with these`,
  );
}

/** Whether the stream has never had a message. */
export async function isEmpty(api: StreamApi): Promise<boolean> {
  return (await api.info()).state.last_seq === 0;
}

/** Publishes the first message; throws where there is one. */
export async function publishGenesis(
  connection: NatsConnection,
  { log, stream }: Names,
  genesis: Genesis,
): Promise<void> {
  const first = headers();
  first.set('Nats-Expected-Last-Sequence', '0');
  const message = packGenesis(genesis, Date.now());
  const answer = await connection.request(log, message, { timeout: TIMEOUT_MS, headers: first });
  const { error } = answer.json() as { error?: { description: string } };
  if (error !== undefined) throw new Error(`${stream} was not begun: ${error.description}`);
}
