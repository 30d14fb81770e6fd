/**
 * The log thread from start to end: brings the store back, then serves the intake. A successor of
 * a thread that died only goes on.
 */
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { inWords } from '../log/access.ts';
import { CommitPublisher } from '../log/commit-publisher.ts';
import type { FileSystem } from '../log/file-system.ts';
import { FolderGuard } from '../log/folder-guard.ts';
import { LogDamagedError } from '../log/log-damaged-error.ts';
import { unpackSegmentEnds } from '../log/segment-ends.ts';
import { type LogTail, Sequencer } from '../log/sequencer.ts';
import { type LeftBehind, resumeCommitted } from '../log/take-over.ts';
import { LogCounters } from '../metrics/thread-counters.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { recover } from '../recovery/recovery.ts';
import { Replay, StopRequested } from '../recovery/replay.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import { LogProgress, type Progress } from '../ring/progress.ts';
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import { RestoreBoard } from '../store/restore-board.ts';
import { RestoredBefore } from '../store/restored-before.ts';
import { Shard } from '../store/shard.ts';
import { intakeRingsOf } from './intake-rings.ts';
import type { LogThreadData, LogThreadMessage } from './log-messages.ts';

/** A clock that is behind the log by less is not worth a line. */
const REPORTED_BEHIND_MS_MIN = 1000;

/** Runs until the main thread asks to stop. Blocks its thread. Reports through `report`. */
export function runLogThread(
  data: LogThreadData,
  files: FileSystem,
  report: (message: LogThreadMessage) => void,
): void {
  const { memory, folder, checkpoints, segmentBytesMax } = data;
  const intakes = intakeRingsOf(memory);
  const dedupe = new DedupeWindow(memory.dedupe, memory.hashKey);
  const receipts = new ReceiptWindow(memory.receipts, memory.hashKey);
  const commits = new CommitPublisher(new CommitRing(memory.commit, memory.appliers.length));
  const progress = new LogProgress(memory.progress);
  const counters = new LogCounters(memory.counters);
  counters.takeOver();
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
    const freeing = new FreeingBounds(memory.freeing);
    const target = { shards, hashKey, dedupe, receipts, outcomes, images, freeing };
    const sink = new Replay(intakes.live, commits, target);
    const tail =
      died === undefined
        ? recover({ files, folder, checkpoints, sink, report })
        : takeOver({ intakes, dedupe, receipts }, commits, died);
    const behindMs = tail.lastTimeMs - Date.now();
    if (died === undefined && behindMs >= REPORTED_BEHIND_MS_MIN) {
      report({ type: 'clock-behind', lastTimeMs: tail.lastTimeMs, behindMs });
    }
    sequencer = new Sequencer(
      {
        intakes,
        dedupe,
        receipts,
        commits,
        progress,
        files,
        folder,
        segmentBytesMax,
        nowMs: Date.now,
        counters,
        ...(data.held === undefined ? {} : { guard: new FolderGuard(data.held.guard) }),
        onStorage: (available, reason) => report({ type: 'storage', available, reason }),
      },
      tail,
    );
  } catch (error) {
    commits.close();
    if (error instanceof StopRequested) report({ type: 'closed', clean: true });
    else report({ type: 'refused', reason: refusal(error, folder) });
    return;
  }
  report({ type: 'serving', nextSeq: sequencer.nextSeq });
  report({ type: 'closed', clean: sequencer.run() });
}

/** Goes on where a thread of the file log died. */
export function takeOver(left: LeftBehind, commits: CommitPublisher, died: Progress): LogTail {
  resumeCommitted(left, commits, died);
  // Its last segment may hold a frame that was never committed, so it is not written again.
  const { segment, previous, lastTimeMs = 0 } = unpackSegmentEnds(died.own);
  const { nextSeq } = died;
  return { nextSeq, segment, previous, lastFrameBytes: 0, fresh: true, lastTimeMs };
}

function refusal(error: unknown, folder: string): string {
  if (error instanceof LogDamagedError || error instanceof NoRoomError) return error.message;
  return `can't open the log in ${folder}: ${inWords(error)}`;
}
