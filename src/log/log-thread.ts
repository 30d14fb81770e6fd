/**
 * The log thread from start to end: brings the store back from checkpoint and log, then serves the
 * intake. A successor of a thread that died only goes on.
 */
import { join } from 'node:path';
import { isTemporaryCheckpoint } from '../checkpoint/format.ts';
import {
  checkCheckpoint,
  listCheckpoints,
  readCheckpoint,
  type ValidCheckpoint,
} from '../checkpoint/reader.ts';
import { CommitRing } from '../ring/commit-ring.ts';
import { IntakeRing } from '../ring/intake-ring.ts';
import type { LogThreadData, LogThreadMessage } from '../threads/shared-memory.ts';
import { CommitPublisher } from './commit-publisher.ts';
import type { FileSystem } from './file-system.ts';
import { LogProgress, type Progress } from './progress.ts';
import { Replay, StopRequested } from './replay.ts';
import { LogDamagedError, listSegments, logBytes, readLog } from './segment-reader.ts';
import { isTemporary } from './segment-writer.ts';
import { type LogTail, publishTail, Sequencer } from './sequencer.ts';

const TELL_EVERY_MS = 1000;

/** What both ways into service share. */
interface Thread {
  readonly data: LogThreadData;
  readonly files: FileSystem;
  readonly intake: IntakeRing;
  readonly commits: CommitPublisher;
  readonly tell: (message: LogThreadMessage) => void;
}

/** Runs until the main thread asks to stop. Blocks its thread. Reports through `tell`. */
export function runLogThread(
  data: LogThreadData,
  files: FileSystem,
  tell: (message: LogThreadMessage) => void,
): void {
  const { memory, folder, segmentBytesMax } = data;
  const intake = new IntakeRing(memory.intake);
  const commits = new CommitPublisher(new CommitRing(memory.commit, memory.appliers.length));
  const progress = new LogProgress(memory.progress);
  const thread: Thread = { data, files, intake, commits, tell };
  let sequencer: Sequencer;
  try {
    const died = progress.load();
    const tail = died === undefined ? recover(thread) : takeOver(thread, died);
    sequencer = new Sequencer(
      {
        intake,
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
function takeOver({ intake, commits }: Thread, died: Progress): LogTail {
  commits.resume(died.commitHead);
  publishTail(intake, died.intakeTail);
  // Its last segment may hold a frame that was never committed, so it is not written again.
  return { nextSeq: died.nextSeq, segment: died.segment, previous: died.previous, fresh: true };
}

/** Brings the store back: the newest checkpoint that proves whole, then the log behind it. */
function recover(thread: Thread): LogTail {
  const { data, files, intake, commits, tell } = thread;
  const { folder, checkpoints } = data;
  const startedMs = performance.now();
  removeLeftovers(files, folder, checkpoints);
  const replay = new Replay(intake, commits, data.memory.hashKey);
  const checkpoint = newestCheckpoint(thread);
  const from = checkpoint?.manifest.replayFrom ?? 1;
  if (checkpoint !== undefined) {
    readCheckpoint(files, checkpoint, (entries, first, count) => {
      replay.entries(entries, first, count);
    });
  }

  const totalBytes = logBytes(files, folder, from);
  let doneBytes = 0;
  let toldMs = startedMs;
  const end = readLog(files, folder, from, (slots, first, frame) => {
    replay.frame(slots, first, frame, from);
    doneBytes += frame.bytes;
    if (performance.now() - toldMs < TELL_EVERY_MS) return;
    toldMs = performance.now();
    tell({ type: 'progress', doneBytes, totalBytes });
  });
  replay.finish();
  if (end.tornTail !== undefined) tell({ type: 'torn-tail', ...end.tornTail });
  tell({
    type: 'replayed',
    products: checkpoint?.manifest.entries ?? 0,
    replayFrom: from,
    events: end.nextSeq - from,
    segments: end.segments,
    durationMs: performance.now() - startedMs,
  });
  return { nextSeq: end.nextSeq, segment: end.segment, previous: end.previous, fresh: false };
}

/** What a crash left half-made: never published, so nothing relies on it. */
function removeLeftovers(files: FileSystem, folder: string, checkpoints: string): void {
  for (const name of files.list(folder)) {
    if (isTemporary(name)) files.remove(join(folder, name));
  }
  for (const name of files.list(checkpoints)) {
    if (isTemporaryCheckpoint(name)) files.removeFolder(join(checkpoints, name));
  }
}

/**
 * The newest checkpoint that proves whole. Without one, the log must reach back to its beginning.
 * Throws LogDamagedError when it does not.
 */
function newestCheckpoint({ data, files, tell }: Thread): ValidCheckpoint | undefined {
  const { folder, checkpoints } = data;
  let damaged: LogDamagedError | undefined;
  for (const replayFrom of listCheckpoints(files, checkpoints)) {
    const checked = checkCheckpoint(files, checkpoints, replayFrom);
    if ('manifest' in checked) return checked;
    const { path, offsetBytes, reason } = checked;
    damaged ??= new LogDamagedError(path, offsetBytes, reason);
    tell({ type: 'checkpoint-damaged', replayFrom, ...checked });
  }
  const oldest = listSegments(files, folder)[0];
  if (damaged !== undefined && oldest !== 1) throw damaged;
  return undefined;
}

function refusal(error: unknown, folder: string): string {
  if (error instanceof LogDamagedError) return error.message;
  return `can't open the log in ${folder}: ${error instanceof Error ? error.message : error}`;
}
