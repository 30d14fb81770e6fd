/** The replicated log on a simulated stream, for the contract of logs. Tests only. */
import { FileHistory } from '../../../src/log/file-history.ts';
import { NodeFileSystem } from '../../../src/log/file-system.ts';
import { KeptSegments } from '../../../src/log/kept-segments.ts';
import { readLog } from '../../../src/log/segment-reader.ts';
import type { LogTail } from '../../../src/log/sequencer.ts';
import { localEnd } from '../../../src/replication/local-end.ts';
import { ReplicaFile } from '../../../src/replication/replica-file.ts';
import {
  ReplicatedLog,
  type ReplicatedLogOptions,
} from '../../../src/replication/replicated-log.ts';
import { resumeReplica } from '../../../src/replication/take-over.ts';
import type { Progress } from '../../../src/ring/progress.ts';
import {
  HASH_KEY,
  type LogMemory,
  type LogUnderTest,
  NOW_MS,
} from '../../log/contract/log-contract.ts';
import { CLUSTER, type SimulatedStream } from './simulated-stream.ts';

const SEGMENT_BYTES_MAX = 4096;

export function replicatedLogUnderTest(
  stream: SimulatedStream,
  root: string,
  folder: string,
  more: Partial<
    Pick<ReplicatedLogOptions, 'onStorage' | 'onServing' | 'monotonicMs' | 'port'>
  > = {},
): LogUnderTest {
  const files = new NodeFileSystem();
  const opened = (memory: LogMemory, died: Progress | undefined, from: number) => {
    const { intakes, shares, dedupe, receipts, progress } = memory;
    const commits = memory.publisher();
    const replica = new ReplicaFile(files, root);
    const tail: LogTail =
      died === undefined
        ? { ...readLog(files, folder, from, () => undefined), fresh: false }
        : resumeReplica(memory, memory.ring, commits, died);
    const end = localEnd(files, folder, replica.load(tail.nextSeq), tail.nextSeq);
    const log = new ReplicatedLog(
      {
        intakes,
        shares,
        dedupe,
        dedupeEvents: 1000,
        receipts,
        commits,
        progress,
        hashKey: HASH_KEY,
        port: stream.port(),
        files,
        folder,
        segmentBytesMax: SEGMENT_BYTES_MAX,
        replica,
        cluster: CLUSTER,
        nowMs: () => NOW_MS,
        onStorage: () => undefined,
        ...more,
      },
      tail,
      end,
      died,
    );
    return {
      log,
      history: new FileHistory({ folder, progress }),
      kept: new KeptSegments(files, folder),
    };
  };
  return {
    open: (memory, from) => opened(memory, undefined, from),
    takeOver: (memory) => opened(memory, memory.progress.load(), 1),
  };
}
