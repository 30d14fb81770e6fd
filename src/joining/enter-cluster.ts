/**
 * What an instance does before it starts in a cluster: finishes a joining that was cut off, takes over another
 * one's data if the stream does not reach back to its own, and learns how the cluster was begun. Main thread.
 */
import { resolve } from 'node:path';
import { NodeFileSystem } from '../log/file-system.ts';
import {
  type Genesis,
  generationOf,
  namesOf,
  unpackGenesis,
} from '../replication/cluster-settings.ts';
import { newestGeneration } from '../replication/generations.ts';
import { askInstances, giversOf } from '../replication/instance-state.ts';
import { keptGenesis } from '../replication/kept-genesis.ts';
import { checkNats } from '../replication/nats-connection.ts';
import { type ClusterConfig, connectTo, openCluster } from '../replication/open-cluster.ts';
import { ReplicaFile } from '../replication/replica-file.ts';
import type { ReplicaRecord } from '../replication/replica-state.ts';
import { NO_STREAM, StreamApi, StreamError } from '../replication/stream-api.ts';
import { type JoinOptions, joinCluster } from './join-cluster.ts';
import { NextGeneration } from './next-generation.ts';
import { TakingPlace } from './taking-place.ts';

const CUT_OFF =
  'a new generation of the cluster was to begin with this data, and that was cut off: run "product-service cluster init --from" again, which says what became of it';

export interface Entering {
  /** Hears what is done, in lines. */
  readonly onLine: (line: string) => void;
  /** Whether it is to be given up. */
  readonly isStopping: () => boolean;
}

/** Throws, in one line, where there is no cluster, or this instance can't belong to it. */
export async function enterCluster(config: ClusterConfig, entering: Entering): Promise<Genesis> {
  checkNats(config.nats);
  const root = resolve(config.dataDir);
  new TakingPlace(root).resume();
  const kept = keptGenesis(root, config.name);
  // Also while NATS is away.
  if (kept !== undefined && isGenerationCutOff(root, kept)) {
    throw new Error(`${config.dataDir}: ${CUT_OFF}`);
  }
  const connecting = connectTo(config.nats, true);
  // One that has been there serves what it has.
  const connection = await (kept ? connecting.catch(() => undefined) : connecting);
  if (connection === undefined) return opened(config, root);
  try {
    const asked = newestGeneration(connection, config.name);
    const newest = await (kept ? asked.catch(() => 0) : asked);
    const generation = kept ? generationOf(kept) : Math.max(newest, 1);
    if (newest > generation) {
      throw new Error(
        `the data in ${config.dataDir} is of generation ${generation} of the cluster ${config.name}, which goes on as generation ${newest}: move it away, and this instance joins anew (docs/cluster.md says what may be in it)`,
      );
    }
    const names = namesOf(config.name, generation);
    const joining = { connection, names, root, ...entering };
    if (kept === undefined) await joinAtFirst(joining);
    else await joinAnew(joining);
  } finally {
    await connection.close();
  }
  return opened(config, root);
}

/** Throws, too, where the data that the generation began with is not in the folder: nothing would bring it there. */
async function opened(config: ClusterConfig, root: string): Promise<Genesis> {
  const genesis = await openCluster(config);
  const { base } = genesis;
  const { position, nextSeq } = recordIn(root);
  if (base !== undefined && (position < 1 || nextSeq <= base.seq)) {
    throw new Error(
      `${config.dataDir} does not have the data with which generation ${generationOf(genesis)} of the cluster ${config.name} began: empty it, and this instance joins anew`,
    );
  }
  return genesis;
}

/** What the folder knows of the stream. */
function recordIn(root: string): ReplicaRecord {
  return new ReplicaFile(new NodeFileSystem(), root).load(Number.MAX_SAFE_INTEGER);
}

/** Whether the folder is to be the beginning of a generation, and that is not done. */
function isGenerationCutOff(root: string, kept: Genesis): boolean {
  const next = new NextGeneration(new NodeFileSystem(), root);
  if (next.isDone(kept)) next.end();
  return next.pending !== undefined;
}

type Joining = Omit<JoinOptions, 'firstPosition' | 'isPatient'>;

/** An instance without data reads the stream from its beginning, if that is still there and the cluster's. */
async function joinAtFirst(joining: Joining): Promise<void> {
  const api = new StreamApi(joining.connection, joining.names.stream);
  let firstPosition = await firstOf(api);
  if (firstPosition === 1 && (await hasBase(api))) firstPosition = 2;
  // Where there is none, openCluster says so.
  if (firstPosition <= 1) return;
  const isDone = await joinCluster({ ...joining, firstPosition, isPatient: true });
  if (!isDone) throw new Error('stopped while it joined the cluster');
}

/** Whether the stream is a later generation's, before which there is data. */
async function hasBase(api: StreamApi): Promise<boolean> {
  const bytes = await api.leaders(1);
  const genesis = bytes && unpackGenesis(bytes);
  return typeof genesis === 'object' && genesis.base !== undefined;
}

/** One that was away for too long takes over another one's data, if somebody has it; if not, it serves its own. */
async function joinAnew(joining: Joining): Promise<void> {
  const { connection, names, root, onLine } = joining;
  // While it can't be found out, it serves what it has.
  const firstPosition = await firstOf(new StreamApi(connection, names.stream)).catch(() => 0);
  const { position } = recordIn(root);
  if (position + 1 >= firstPosition) return;
  const others = await askInstances(connection, names.who).catch(() => []);
  if (giversOf(others, firstPosition).length === 0) return;
  onLine(
    `joining: the stream begins at ${firstPosition}, and this instance has read up to ${position}`,
  );
  const isDone = await joinCluster({ ...joining, firstPosition, isPatient: false });
  if (!isDone) onLine('joining: given up, this instance serves what it has');
}

/** 0 = there is no stream. Rejects where that can't be found out. */
function firstOf(api: StreamApi): Promise<number> {
  return api.info().then(
    ({ state }) => state.first_seq,
    (error: unknown) => {
      if (error instanceof StreamError && error.code === NO_STREAM) return 0;
      throw error;
    },
  );
}
