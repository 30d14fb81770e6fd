/**
 * What an instance has to know of its cluster before it can allocate anything: GENESIS, from the stream, or
 * from its data folder once it has been there, so that it serves reads while NATS is away. Main thread.
 */
import type { NatsSettings } from '../config/nats.ts';
import { isEmpty } from './begin-cluster.ts';
import { differences, type Genesis, namesOf, unpackGenesis } from './cluster-settings.ts';
import { newestGeneration } from './generations.ts';
import { keptGenesis } from './kept-genesis.ts';
import { checkNats, natsFault, openNats } from './nats-connection.ts';
import { NO_STREAM, StreamApi, StreamError } from './stream-api.ts';

export interface ClusterConfig {
  readonly name: string;
  readonly nats: NatsSettings;
  readonly dataDir: string;
  readonly shards: number;
  readonly shardEntries: number;
  readonly dedupeEvents: number;
}

/** Throws, in one line, where the cluster can't be found or this instance can't belong to it. */
export async function openCluster(config: ClusterConfig): Promise<Genesis> {
  checkNats(config.nats);
  const kept = keptGenesis(config.dataDir, config.name);
  const genesis = kept ?? (await readGenesis(config.name, config.nats));
  if (genesis === undefined) {
    throw new Error(`can't join the cluster ${config.name}: the stream has lost its beginning`);
  }
  const differing = differences(genesis, config);
  if (differing !== undefined) {
    throw new Error(`this instance can't belong to the cluster ${config.name}: ${differing}`);
  }
  return genesis;
}

/** Reads how the cluster was begun; `undefined` = that has made room for newer messages. Throws, in one line. */
export async function readGenesis(name: string, nats: NatsSettings): Promise<Genesis | undefined> {
  const connection = await connectTo(nats);
  try {
    const newest = await newestGeneration(connection, name);
    const { stream } = namesOf(name, Math.max(newest, 1));
    const api = new StreamApi(connection, stream);
    const bytes = await api.leaders(1);
    if (bytes === undefined) {
      if (!(await isEmpty(api))) return undefined;
      throw new Error(
        'its stream was not begun to the end: run the cluster init that was cut off again',
      );
    }
    const genesis = unpackGenesis(bytes);
    if (typeof genesis === 'string') throw new Error(genesis);
    return genesis;
  } catch (error) {
    const isMissing = error instanceof StreamError && error.code === NO_STREAM;
    const why = isMissing
      ? 'it has not been created: product-service cluster init does that, once'
      : error instanceof Error
        ? error.message
        : String(error);
    throw new Error(`can't join the cluster ${name}: ${why}`);
  } finally {
    await connection.close();
  }
}

/** Connects, for one question or a few, or for longer (`isLasting`). Rejects, in one line. */
export async function connectTo(
  nats: NatsSettings,
  isLasting = false,
): ReturnType<typeof openNats> {
  checkNats(nats);
  try {
    return await openNats(nats, 'product-service cluster', isLasting);
  } catch (error) {
    throw new Error(natsFault(error));
  }
}
