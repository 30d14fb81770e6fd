/**
 * The log thread from start to end: brings the store back, then serves the intake. A successor of
 * a thread that died only goes on.
 */

import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { CommitPublisher } from '../log/commit-publisher.ts';
import type { FileSystem } from '../log/file-system.ts';
import { LogDamagedError } from '../log/log-damaged-error.ts';
import { unpackSegmentEnds } from '../log/segment-ends.ts';
import { type LogTail, Sequencer } from '../log/sequencer.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { recover } from '../recovery/recovery.ts';
import { Replay, StopRequested } from '../recovery/replay.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import { IntakeRing, type IntakeRings, publishTail } from '../ring/intake-ring.ts';
import { LogProgress, type Progress } from '../ring/progress.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import { RestoreBoard } from '../store/restore-board.ts';
import { RestoredBefore } from '../store/restored-before.ts';
import { Shard } from '../store/shard.ts';
import type { LogThreadData, LogThreadMessage } from './log-messages.ts';

/** Runs until the main thread asks to stop. Blocks its thread. Reports through `tell`. */
export function runLogThread(
  data: LogThreadData,
  files: FileSystem,
  tell: (message: LogThreadMessage) => void,
): void {
  const { memory, folder, checkpoints, segmentBytesMax } = data;
  const intakes = { live: new IntakeRing(memory.intake), bulk: new IntakeRing(memory.bulk) };
  const dedupe = new DedupeWindow(memory.dedupe, memory.hashKey);
  const commits = new CommitPublisher(new CommitRing(memory.commit, memory.appliers.length));
  const progress = new LogProgress(memory.progress);
  let sequencer: Sequencer;
  try {
    const died = progress.load();
    const outcomes = new OutcomeWindow(memory.outcomes);
    const shards = memory.shards.map((buffer) => new Shard(buffer));
    const { hashKey } = memory;
    const images = {
      restored: new RestoredBefore(memory.restored),
      board: new RestoreBoard(memory.board),
    };
    const target = { shards, hashKey, dedupe, outcomes, images };
    const sink = new Replay(intakes.live, commits, target);
    const tail =
      died === undefined
        ? recover({ files, folder, checkpoints, sink, tell })
        : takeOver(intakes, dedupe, commits, died);
    sequencer = new Sequencer(
      {
        intakes,
        dedupe,
        commits,
        progress,
        files,
        folder,
        segmentBytesMax,
        nowMs: Date.now,
        onStorage: (available, reason) => tell({ type: 'storage', available, reason }),
      },
      tail,
    );
  } catch (error) {
    commits.close();
    if (error instanceof StopRequested) tell({ type: 'closed', clean: true });
    else tell({ type: 'refused', reason: refusal(error, folder) });
    return;
  }
  tell({ type: 'serving', nextSeq: sequencer.nextSeq });
  tell({ type: 'closed', clean: sequencer.run() });
}

/** Goes on where a log thread died: what it committed is published, the rest is done again. */
export function takeOver(
  intakes: IntakeRings,
  dedupe: DedupeWindow,
  commits: CommitPublisher,
  died: Progress,
): LogTail {
  dedupe.takeOver(died.nextSeq);
  commits.resume(died.commitHead);
  publishTail(intakes.live, died.liveTail);
  publishTail(intakes.bulk, died.bulkTail);
  // Its last segment may hold a frame that was never committed, so it is not written again.
  const { segment, previous } = unpackSegmentEnds(died.own);
  return { nextSeq: died.nextSeq, segment, previous, lastFrameBytes: 0, fresh: true };
}

function refusal(error: unknown, folder: string): string {
  if (error instanceof LogDamagedError || error instanceof NoRoomError) return error.message;
  return `can't open the log in ${folder}: ${error instanceof Error ? error.message : error}`;
}
