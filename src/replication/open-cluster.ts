/**
 * What an instance has to know of its cluster before it can allocate anything: GENESIS, from the stream, or
 * from its data folder once it has been there, so that it serves reads while NATS is away. Main thread.
 */
import { differences, type Genesis, namesOf, unpackGenesis } from './cluster-settings.ts';
import { keptGenesis } from './kept-genesis.ts';
import { type NatsSettings, openNats } from './nats-connection.ts';
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
  const kept = keptGenesis(config.dataDir, config.name);
  const genesis = kept ?? (await readGenesis(config.name, config.nats));
  const differing = differences(genesis, config);
  if (differing !== undefined) {
    throw new Error(`this instance can't belong to the cluster ${config.name}: ${differing}`);
  }
  return genesis;
}

/** Reads how the cluster was begun. Throws, in one line. */
export async function readGenesis(name: string, nats: NatsSettings): Promise<Genesis> {
  const { stream } = namesOf(name);
  const connection = await connected(nats);
  try {
    const bytes = await new StreamApi(connection, stream).leaders(1);
    if (bytes === undefined)
      throw new Error(
        'its beginning has made room for newer events: begin with a backup of an instance',
      );
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

async function connected(nats: NatsSettings): ReturnType<typeof openNats> {
  try {
    return await openNats(nats, 'product-service cluster', false);
  } catch (error) {
    throw new Error(`can't reach NATS: ${error instanceof Error ? error.message : error}`);
  }
}
