/** `cluster init`, with or without `--from`, and `cluster status`: a cluster of instances over NATS JetStream. Main thread. */
import { readDotEnv } from '../config/dot-env.ts';
import { loadConfig } from '../config/load.ts';
import { natsSettings } from '../config/nats.ts';
import { parseBytes } from '../config/quantity.ts';
import type { Config } from '../config/schema.ts';
import { withSecretFiles } from '../config/secret-files.ts';
import { beginGeneration } from '../joining/begin-generation.ts';
import { beginCluster, type StreamSize } from '../replication/begin-cluster.ts';
import { namesOf, RULES } from '../replication/cluster-settings.ts';
import { newestGeneration } from '../replication/generations.ts';
import { askInstances, type InstanceState } from '../replication/instance-state.ts';
import { connectTo, readGenesis } from '../replication/open-cluster.ts';
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
/** States of a sink (sinks/sink-stats.ts) in which it holds the sink's lock. */
const WRITING = ['following', 'comparing', 'blocked'];

export async function run({ values, operands, environment }: CommandContext): Promise<number> {
  const [what, ...more] = operands;
  if (more.length > 0 || (what !== 'init' && what !== 'status')) {
    throw new UsageError('cluster needs init or status');
  }
  const [ofInit] = Object.keys(values);
  if (what === 'status' && ofInit !== undefined) {
    throw new UsageError(`--${ofInit} is for cluster init`);
  }
  const config = clusterConfig(environment);
  if (what === 'status') return showStatus(config);
  const replicas = countOf(values, 'replicas') ?? REPLICAS_DEFAULT;
  if (![1, 3, 5].includes(replicas)) throw new UsageError('--replicas must be 1, 3 or 5');
  const size = textOf(values, 'size') ?? SIZE_DEFAULT;
  const bytesMax = parseBytes(size);
  if (bytesMax === undefined || bytesMax < 1) throw new UsageError(`--size=${size} is no size`);
  const from = textOf(values, 'from');
  const stream = { replicas, bytesMax };
  return from === undefined ? init(config, stream) : initFrom(config, from, stream);
}

type Known = Config & { readonly cluster: string };

function clusterConfig(environment: CommandContext['environment']): Known {
  const config = loadConfig(
    withSecretFiles({ ...readDotEnv('.env'), LOG: 'jetstream', ...environment }),
  );
  if (config.cluster === undefined) {
    throw new CommandError('a cluster needs LOG=jetstream, CLUSTER and NATS_URL');
  }
  return config as Known;
}

async function init(config: Known, size: StreamSize): Promise<number> {
  const { cluster, shards, dedupeEvents, storeBytesMax } = config;
  const shardEntries = planStore(storeBytesMax, shards).shard.entries;
  const settings = { rules: RULES, shards, shardEntries, dedupeEvents };
  const connection = await connected(config);
  try {
    await beginCluster(connection, cluster, settings, size);
  } catch (error) {
    throw new CommandError(messageOf(error));
  } finally {
    await connection.close();
  }
  process.stdout.write(
    `cluster ${cluster}: created, ${size.replicas} copies of at most ${size.bytesMax} bytes\n`,
  );
  return EXIT_DONE;
}

/** A new generation, which begins with the data of an instance. */
async function initFrom(config: Known, dataDir: string, size: StreamSize): Promise<number> {
  const { cluster: name } = config;
  const connection = await connected(config);
  try {
    const { generation, base } = await beginGeneration({ connection, name, dataDir, size });
    process.stdout.write(
      `cluster ${name}: generation ${generation} begins behind seq ${base?.seq}, with the data in ${dataDir}\n`,
    );
  } catch (error) {
    throw new CommandError(messageOf(error));
  } finally {
    await connection.close();
  }
  return EXIT_DONE;
}

async function showStatus(config: Known): Promise<number> {
  const { cluster } = config;
  const genesis = await readGenesis(cluster, natsSettings(config)).catch((error: unknown) => {
    throw new CommandError(messageOf(error));
  });
  const connection = await connected(config);
  try {
    const generation = Math.max(await newestGeneration(connection, cluster), 1);
    const { stream: name, who } = namesOf(cluster, generation);
    const instances = await askInstances(connection, who);
    // Behind their answers: nobody is ahead of it.
    const info = await new StreamApi(connection, name).info();
    const { state, config: stream, cluster: peers } = info;
    const shown = {
      cluster,
      generation,
      // The beginning of the stream says it, as long as it is there.
      ...(genesis === undefined
        ? {}
        : {
            ...{ shards: genesis.shards, shard_entries: genesis.shardEntries },
            ...{ dedupe_window: genesis.dedupeEvents, rules: genesis.rules },
          }),
      stream: {
        ...{ first: state.first_seq, last: state.last_seq, bytes: state.bytes },
        ...{ bytes_max: stream.max_bytes, replicas: stream.num_replicas },
        leader: peers?.leader ?? null,
        followers: (peers?.replicas ?? []).map(({ name, current, offline }) => ({
          name,
          current: current && offline !== true,
        })),
      },
      sinks: Object.fromEntries(
        sinkNames(instances).map((name) => [name, writerOf(instances, name)]),
      ),
      instances: instances.map(({ position, ...instance }) => ({
        ...instance,
        position,
        lag: state.last_seq - position,
      })),
    };
    process.stdout.write(`${JSON.stringify(shown, undefined, 2)}\n`);
  } finally {
    await connection.close();
  }
  return EXIT_DONE;
}

function sinkNames(instances: readonly InstanceState[]): string[] {
  return [...new Set(instances.flatMap(({ sinks }) => Object.keys(sinks)))];
}

/** Who writes to the sink, as it says itself; null = nobody does just now. */
function writerOf(instances: readonly InstanceState[], name: string) {
  const writer = instances.find(({ sinks }) => WRITING.includes(sinks[name] ?? ''));
  return writer === undefined ? null : { host: writer.host, pid: writer.pid };
}

async function connected(config: Known): ReturnType<typeof connectTo> {
  try {
    return await connectTo(natsSettings(config));
  } catch (error) {
    throw new CommandError(messageOf(error));
  }
}
