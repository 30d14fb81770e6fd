/**
 * The log thread from start to end: reads the log back and replays it through the commit ring, then
 * serves the intake. Replay takes the same road as live events; there is no second one to keep true.
 */
import { join } from 'node:path';
import { CommitRing } from '../ring/commit-ring.ts';
import { INTAKE_STOP, IntakeRing } from '../ring/intake-ring.ts';
import {
  FLAG_RESERVED,
  isMetaValid,
  metaIdBytes,
  SLOT_DOUBLES,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import { hashId } from '../store/id-hash.ts';
import type { LogThreadData, LogThreadMessage } from '../threads/shared-memory.ts';
import { CommitPublisher } from './commit-publisher.ts';
import type { FileSystem } from './file-system.ts';
import type { CheckedFrame } from './format.ts';
import { LogProgress, type Progress } from './progress.ts';
import { LogDamagedError, readLog } from './segment-reader.ts';
import { isTemporary } from './segment-writer.ts';
import { type LogTail, publishTail, Sequencer } from './sequencer.ts';

/** Replayed slots are shown to the appliers when this many were written. */
const REPLAY_PUBLISH_SLOTS = 1024;

/** The mask of a plain stretch of slots: it only has to cover it. */
const NO_WRAP = 0x3fffffff;

/** Thrown through the replay when the service is told to stop meanwhile. */
class StopRequested extends Error {}

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

/** Reads the log and has it applied. */
function recover(thread: Thread): LogTail {
  const { data, files, commits, tell } = thread;
  const { folder } = data;
  const startedMs = performance.now();
  for (const name of files.list(folder)) {
    if (isTemporary(name)) files.remove(join(folder, name));
  }
  const replay = new Replay(thread);
  const end = readLog(files, folder, (slots, first, frame) => replay.frame(slots, first, frame));
  commits.publish();
  commits.waitUntilApplied();
  if (end.tornTail !== undefined) tell({ type: 'torn-tail', ...end.tornTail });
  tell({
    type: 'replayed',
    events: end.nextSeq - 1,
    segments: end.segments,
    durationMs: performance.now() - startedMs,
  });
  return { nextSeq: end.nextSeq, segment: end.segment, previous: end.previous, fresh: false };
}

/** Puts frames from the log's files into the commit ring. */
class Replay {
  readonly #thread: Thread;
  #unpublished = 0;

  constructor(thread: Thread) {
    this.#thread = thread;
  }

  frame(slots: SlotViews, first: number, frame: CheckedFrame): void {
    const { intake, commits } = this.#thread;
    if (Atomics.load(intake.cursors, INTAKE_STOP) === 1) throw new StopRequested();
    this.#prepare(slots, first, frame);
    let done = 0;
    while (done < frame.count) {
      if (commits.free() === 0) {
        commits.publish();
        commits.waitForRoom();
      }
      const count = Math.min(frame.count - done, commits.free());
      commits.write(slots, NO_WRAP, first + done, count, frame.commitTimeMs);
      done += count;
      this.#unpublished += count;
    }
    if (this.#unpublished >= REPLAY_PUBLISH_SLOTS) {
      commits.publish();
      this.#unpublished = 0;
    }
  }

  /** Checks what the checksum can't know and gives the slots this start's hashes. */
  #prepare(slots: SlotViews, first: number, frame: CheckedFrame): void {
    const { folder, memory } = this.#thread.data;
    const { words, doubles } = slots;
    for (let i = 0; i < frame.count; i++) {
      const w = (first + i) * SLOT_WORDS;
      const meta = words[w + SLOT_META] as number;
      if (
        !isMetaValid(meta) ||
        doubles[(first + i) * SLOT_DOUBLES + SLOT_SEQ] !== frame.firstSeq + i
      ) {
        throw new LogDamagedError(folder, 0, `the event with seq ${frame.firstSeq + i} is not one`);
      }
      words[w + SLOT_META] = meta & ~FLAG_RESERVED;
      words[w + SLOT_HASH] = hashId(memory.hashKey, words, w + SLOT_ID, metaIdBytes(meta));
    }
  }
}

function refusal(error: unknown, folder: string): string {
  if (error instanceof LogDamagedError) return error.message;
  return `can't open the log in ${folder}: ${error instanceof Error ? error.message : error}`;
}
