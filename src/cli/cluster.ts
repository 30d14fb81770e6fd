/** `cluster init` and `cluster status`: a cluster of instances over NATS JetStream. Main thread. */
import { readDotEnv } from '../config/dot-env.ts';
import { loadConfig } from '../config/load.ts';
import { parseBytes } from '../config/quantity.ts';
import type { Config } from '../config/schema.ts';
import { withSecretFiles } from '../config/secret-files.ts';
import { beginCluster } from '../replication/begin-cluster.ts';
import { namesOf, RULES } from '../replication/cluster-settings.ts';
import { openNats } from '../replication/nats-connection.ts';
import { readGenesis } from '../replication/open-cluster.ts';
import { StreamApi } from '../replication/stream-api.ts';
import { planStore } from '../store/sizing.ts';
import {
  type CommandContext,
  CommandError,
  countOf,
  EXIT_DONE,
  messageOf,
  textOf,
  UsageError,
} from './command.ts';

const REPLICAS_DEFAULT = 1;
const SIZE_DEFAULT = '1GB';

export async function run({ values, operands, environment }: CommandContext): Promise<number> {
  const [what, ...more] = operands;
  if (more.length > 0 || (what !== 'init' && what !== 'status')) {
    throw new UsageError('cluster needs init or status');
  }
  const config = clusterConfig(environment);
  if (what === 'status') return showStatus(config);
  const replicas = countOf(values, 'replicas') ?? REPLICAS_DEFAULT;
  if (![1, 3, 5].includes(replicas)) throw new UsageError('--replicas must be 1, 3 or 5');
  const size = textOf(values, 'size') ?? SIZE_DEFAULT;
  const bytesMax = parseBytes(size);
  if (bytesMax === undefined || bytesMax < 1) throw new UsageError(`--size=${size} is no size`);
  return init(config, replicas, bytesMax);
}

type Known = Config & { readonly cluster: string; readonly natsUrl: string };

function clusterConfig(environment: CommandContext['environment']): Known {
  const config = loadConfig(
    withSecretFiles({ ...readDotEnv('.env'), LOG: 'jetstream', ...environment }),
  );
  if (config.cluster === undefined || config.natsUrl === undefined) {
    throw new CommandError('a cluster needs LOG=jetstream, CLUSTER and NATS_URL');
  }
  return config as Known;
}

function natsOf({ natsUrl: url }: Known) {
  return { url };
}

async function init(config: Known, replicas: number, bytesMax: number): Promise<number> {
  const { cluster, shards, dedupeEvents, storeBytesMax } = config;
  const shardEntries = planStore(storeBytesMax, shards).shard.entries;
  const settings = { rules: RULES, shards, shardEntries, dedupeEvents };
  const connection = await connected(config);
  try {
    await beginCluster(connection, cluster, settings, { replicas, bytesMax });
  } catch (error) {
    throw new CommandError(messageOf(error));
  } finally {
    await connection.close();
  }
  process.stdout.write(
    `cluster ${cluster}: created, ${replicas} copies of at most ${bytesMax} bytes\n`,
  );
  return EXIT_DONE;
}

async function showStatus(config: Known): Promise<number> {
  const { cluster } = config;
  const genesis = await readGenesis(cluster, natsOf(config)).catch((error: unknown) => {
    throw new CommandError(messageOf(error));
  });
  const connection = await connected(config);
  try {
    const info = await new StreamApi(connection, namesOf(cluster).stream).info();
    const { state, config: stream, cluster: peers } = info;
    const shown = {
      cluster,
      ...{ shards: genesis.shards, shard_entries: genesis.shardEntries },
      dedupe_window: genesis.dedupeEvents,
      stream: {
        ...{ first: state.first_seq, last: state.last_seq, bytes: state.bytes },
        ...{ bytes_max: stream.max_bytes, replicas: stream.num_replicas },
        leader: peers?.leader ?? null,
        followers: (peers?.replicas ?? []).map(({ name, current, offline }) => ({
          name,
          current: current && offline !== true,
        })),
      },
    };
    process.stdout.write(`${JSON.stringify(shown, undefined, 2)}\n`);
  } finally {
    await connection.close();
  }
  return EXIT_DONE;
}

async function connected(config: Known): ReturnType<typeof openNats> {
  try {
    return await openNats(natsOf(config), 'product-service cluster', false);
  } catch (error) {
    throw new CommandError(`can't reach NATS: ${messageOf(error)}`);
  }
}
