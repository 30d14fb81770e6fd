/**
 * The thread of a replicated log from start to end: brings the store back from checkpoints and the local log,
 * then follows the stream. A successor of a thread that died only goes on.
 */
import assert from 'node:assert/strict';
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { inWords } from '../log/access.ts';
import { CommitPublisher } from '../log/commit-publisher.ts';
import type { FileSystem } from '../log/file-system.ts';
import { FolderGuard } from '../log/folder-guard.ts';
import { LogDamagedError } from '../log/log-damaged-error.ts';
import { LogCounters } from '../metrics/thread-counters.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { recover } from '../recovery/recovery.ts';
import { Replay, StopRequested } from '../recovery/replay.ts';
import { ForeignLogError, localEnd } from '../replication/local-end.ts';
import { MESSAGE_SLOTS_MAX, NewerFormatError } from '../replication/message.ts';
import { ProposedShares } from '../replication/proposed-shares.ts';
import { ReplicaFile } from '../replication/replica-file.ts';
import { ReplicatedLog } from '../replication/replicated-log.ts';
import { StoreRoom } from '../replication/store-room.ts';
import { SharedPort } from '../replication/stream-memory.ts';
import { resumeReplica } from '../replication/take-over.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import { producersOf } from '../ring/intake-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import { RestoreBoard } from '../store/restore-board.ts';
import { RestoredBefore } from '../store/restored-before.ts';
import { Shard } from '../store/shard.ts';
import { intakeRingsOf } from './intake-rings.ts';
import type { LogThreadMessage, ReplicatedLogThreadData } from './log-messages.ts';

/** Runs until the main thread asks to stop. Blocks its thread. Reports through `report`. */
export function runReplicatedLogThread(
  data: ReplicatedLogThreadData,
  files: FileSystem,
  report: (message: LogThreadMessage) => void,
): void {
  const { memory, root, folder, checkpoints, segmentBytesMax } = data;
  const { hashKey } = memory;
  const intakes = intakeRingsOf(memory);
  const rings = 2 * producersOf(intakes).length;
  const dedupe = new DedupeWindow(memory.dedupe, hashKey);
  const receipts = new ReceiptWindow(memory.receipts, hashKey);
  const ring = new CommitRing(memory.commit, memory.appliers.length);
  const commits = new CommitPublisher(ring);
  assert.ok(commits.capacity >= MESSAGE_SLOTS_MAX, 'another instance may fill a message');
  const progress = new LogProgress(memory.progress);
  const counters = new LogCounters(memory.counters);
  counters.takeOver();
  let log: ReplicatedLog;
  try {
    const died = progress.load();
    const shards = memory.shards.map((buffer) => new Shard(buffer));
    const outcomes = new OutcomeWindow(memory.outcomes);
    const images = {
      restored: new RestoredBefore(memory.restored),
      board: new RestoreBoard(memory.board),
    };
    const target = { shards, hashKey, dedupe, receipts, outcomes, images };
    const sink = new Replay(intakes.live, commits, target);
    const tail =
      died === undefined
        ? recover({ files, folder, checkpoints, sink, report })
        : resumeReplica({ intakes, dedupe, receipts }, ring, commits, died);
    const replica = new ReplicaFile(files, root);
    const end = localEnd(files, folder, replica.load(tail.nextSeq), tail.nextSeq);
    log = new ReplicatedLog(
      {
        intakes,
        dedupe,
        dedupeEvents: data.dedupeEvents,
        receipts,
        commits,
        progress,
        hashKey,
        port: new SharedPort(data.stream),
        shares: new ProposedShares(data.stream.shares, rings),
        files,
        folder,
        segmentBytesMax,
        replica,
        cluster: Buffer.from(data.cluster, 'hex'),
        room: new StoreRoom(shards, commits),
        nowMs: Date.now,
        counters,
        ...(data.held === undefined ? {} : { guard: new FolderGuard(data.held.guard) }),
        isReader: data.isReader,
        onServing: () => report({ type: 'serving', nextSeq: log.nextSeq }),
        onStorage: (available, reason) => report({ type: 'storage', available, reason }),
        onOvertaken: (reason) => report({ type: 'overtaken', reason }),
        onVoid: (position, reason) => report({ type: 'void', position, reason }),
      },
      tail,
      end,
      died,
    );
  } catch (error) {
    commits.close();
    if (error instanceof StopRequested) report({ type: 'closed', clean: true });
    else report({ type: 'refused', reason: refusal(error, folder) });
    return;
  }
  try {
    report({ type: 'closed', clean: log.run() });
  } catch (error) {
    // A successor would read the same message and be no wiser.
    if (!(error instanceof NewerFormatError)) throw error;
    report({ type: 'refused', reason: error.message });
  }
}

function refusal(error: unknown, folder: string): string {
  const isWhole =
    error instanceof LogDamagedError ||
    error instanceof NoRoomError ||
    error instanceof ForeignLogError;
  if (isWhole) return error.message;
  return `can't open the log in ${folder}: ${inWords(error)}`;
}
