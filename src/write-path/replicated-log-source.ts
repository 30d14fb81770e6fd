/** The log that many instances share, as the main thread chooses it. */
import type { DataDir } from '../log/data-dir.ts';
import { FileHistory } from '../log/file-history.ts';
import { NodeFileSystem } from '../log/file-system.ts';
import { heldPath } from '../log/held-files.ts';
import { unpackSegmentEnds } from '../log/segment-ends.ts';
import type { Genesis } from '../replication/cluster-settings.ts';
import { generationOf, namesOf, placesNameOf } from '../replication/cluster-settings.ts';
import { keepGenesis } from '../replication/kept-genesis.ts';
import { createStreamMemory } from '../replication/stream-memory.ts';
import type { StreamThreadData } from '../replication/stream-thread.ts';
import type { ReplicatedLogThreadData } from './log-messages.ts';
import type { LogSource } from './log-source.ts';

const LOG_ENTRY = new URL('../../workers/replicated-log.ts', import.meta.url);
const STREAM_ENTRY = new URL('../../workers/stream.ts', import.meta.url);

/** The cluster that an instance belongs to, as it was found before anything else was started. */
export interface Membership {
  readonly name: string;
  readonly nats: StreamThreadData['nats'];
  readonly genesis: Genesis;
  /** Whether it follows and serves reads only. */
  readonly isReader: boolean;
}

/** `producers`: threads that take events in. */
export function replicatedLog(
  { root, logFolder: folder, checkpointFolder: checkpoints, held }: DataDir,
  segmentBytesMax: number,
  { name, nats, genesis, isReader }: Membership,
  producers: number,
  sinks: StreamThreadData['sinks'] = [],
): LogSource {
  // For starts while NATS is away.
  keepGenesis(new NodeFileSystem(), root, name, genesis);
  const stream = createStreamMemory(producers);
  const { id, dedupeEvents } = genesis;
  const data: Omit<ReplicatedLogThreadData, 'memory'> = {
    ...{ root, folder, checkpoints, segmentBytesMax, held, stream },
    ...{ cluster: id, dedupeEvents, isReader },
  };
  const streamData: Omit<StreamThreadData, 'memory'> = {
    ...{ nats, names: namesOf(name, generationOf(genesis)), stream, isReader, root, sinks },
  };
  return {
    entry: LOG_ENTRY,
    data,
    history: (progress) =>
      new FileHistory({
        get folder() {
          return heldPath(held, folder);
        },
        progress,
      }),
    restoring: { checkpoints, held },
    newestSegment: (progress) => {
      const known = progress.load();
      return known === undefined ? undefined : unpackSegmentEnds(known.own).segment;
    },
    isShared: true,
    placesName: placesNameOf(genesis),
    companion: { entry: STREAM_ENTRY, data: streamData, name: 'stream' },
  };
}
