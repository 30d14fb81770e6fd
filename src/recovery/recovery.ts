/**
 * Brings the state back at start: the newest checkpoint that proves whole, then the log behind it,
 * handed to a sink in order. Decides what is a leftover, what is damage and where the log goes on.
 * Log thread; tests run it on a simulated disk.
 */
import { join } from 'node:path';
import { isTemporaryCheckpoint } from '../checkpoint/format.ts';
import {
  checkCheckpoint,
  type EntriesVisitor,
  lastSeqOf,
  listCheckpoints,
  readCheckpoint,
  type ValidCheckpoint,
} from '../checkpoint/reader.ts';
import type { KnownOutcomes } from '../checkpoint/windows.ts';
import type { FileSystem } from '../log/file-system.ts';
import { type CheckedFrame, segmentName } from '../log/format.ts';
import { LogDamagedError } from '../log/log-damaged-error.ts';
import type { FrameVisitor } from '../log/segment-bytes.ts';
import { listSegments } from '../log/segment-headers.ts';
import { logBytes, readLog } from '../log/segment-reader.ts';
import { isTemporary } from '../log/segment-writer.ts';
import type { LogTail } from '../log/sequencer.ts';
import type { SlotViews } from '../ring/slot.ts';
import { ENTRY_BYTES, ENTRY_UPDATED_AT, ENTRY_WORDS } from '../store/shard.ts';
import type { RecoveryMessage } from './recovery-messages.ts';

const TELL_EVERY_MS = 1000;
/** How much is read between two looks at the clock. */
const LOOK_EVERY_BYTES = 1 << 20;

/** Where the recovered state goes. */
export interface RecoverySink {
  /** Entries of the checkpoint, before any frame. */
  readonly entries: EntriesVisitor;
  /** The events of a frame; those before seq `from` are in the checkpoint. */
  readonly frame: (slots: SlotViews, first: number, frame: CheckedFrame, from: number) => void;
  /** Keys of a checkpoint, before any frame: entries of the dedupe window, oldest first. */
  readonly keys: (entries: Int32Array, count: number) => void;
  /** Receipts of batches in a checkpoint, before any frame: those of the oldest keys first. */
  readonly receipts: (slots: SlotViews, first: number, count: number) => void;
  /** No more events come: returns when all of them are in the store. */
  readonly finish: () => void;
  /**
   * What a checkpoint knows became of the events from `firstSeq` on, a byte each; after `finish`,
   * because it is right where the replay can't be. `nextSeq` is the log's.
   */
  readonly outcomes: (firstSeq: number, bytes: Uint8Array, nextSeq: number) => void;
}

export interface RecoveryOptions {
  readonly files: FileSystem;
  /** Folder of the segments. */
  readonly folder: string;
  /** Folder of the checkpoints. */
  readonly checkpoints: string;
  readonly sink: RecoverySink;
  readonly tell: (message: RecoveryMessage) => void;
  /** A clock that never goes back, ms; tests bring their own. */
  readonly nowMs?: () => number;
}

/**
 * Recovers, and returns where the log goes on. Throws LogDamagedError when the disk does not hold
 * what it must, and what the file system and the sink throw.
 */
export function recover(options: RecoveryOptions): LogTail {
  const { files, folder, sink, tell, nowMs = () => performance.now() } = options;
  const startedMs = nowMs();
  removeLeftovers(options);
  const checkpoint = newestCheckpoint(options);
  const from = checkpoint?.manifest.replayFrom ?? 1;
  let restoredSeq = from - 1;
  let restoredTimeMs = 0;
  const outcomes: KnownOutcomes[] = [];
  // An entry and an event take about the same time, and have the same size.
  const entriesBytes = (checkpoint?.manifest.entries ?? 0) * ENTRY_BYTES;
  const totalBytes = entriesBytes + logBytes(files, folder, from);
  let doneBytes = 0;
  let lookBytes = LOOK_EVERY_BYTES;
  let toldMs = startedMs;
  const noteDone = (bytes: number) => {
    doneBytes += bytes;
    if (doneBytes < lookBytes) return;
    lookBytes = doneBytes + LOOK_EVERY_BYTES;
    if (nowMs() - toldMs < TELL_EVERY_MS) return;
    toldMs = nowMs();
    tell({ type: 'progress', doneBytes, totalBytes });
  };
  if (checkpoint !== undefined) {
    readCheckpoint(files, checkpoint, {
      entries: (entries, first, count) => {
        restoredSeq = Math.max(restoredSeq, lastSeqOf(entries, first, count));
        restoredTimeMs = Math.max(restoredTimeMs, lastTimeOf(entries, first, count));
        sink.entries(entries, first, count);
        noteDone(count * ENTRY_BYTES);
      },
      keys: (entries, count) => sink.keys(entries, count),
      receipts: (slots, first, count) => sink.receipts(slots, first, count),
      outcomes: (firstSeq, bytes) => outcomes.push({ firstSeq, bytes }),
    });
    restoredSeq = Math.max(restoredSeq, (checkpoint.manifest.outcomes?.endSeq ?? 1) - 1);
  }

  const onFrame: FrameVisitor = (slots, first, frame) => {
    sink.frame(slots, first, frame, from);
    noteDone(frame.bytes);
  };
  const end = readLog(files, folder, from, onFrame, checkpoint?.manifest.log);
  // A tail that a checkpoint has events of is not torn: they were flushed, and their numbers given.
  if (restoredSeq >= end.nextSeq) {
    throw new LogDamagedError(
      end.segment === undefined ? folder : join(folder, segmentName(end.segment.firstSeq)),
      end.segment?.endBytes ?? 0,
      `the log ends before seq ${end.nextSeq}, but a checkpoint holds seq ${restoredSeq}`,
    );
  }
  sink.finish();
  for (const { firstSeq, bytes } of outcomes) sink.outcomes(firstSeq, bytes, end.nextSeq);
  if (end.tornTail !== undefined) tell({ type: 'torn-tail', ...end.tornTail });
  tell({
    type: 'replayed',
    products: checkpoint?.manifest.entries ?? 0,
    replayFrom: from,
    events: end.nextSeq - from,
    segments: end.segments,
    durationMs: nowMs() - startedMs,
  });
  const { nextSeq, segment, previous, lastFrameBytes } = end;
  const lastTimeMs = end.lastTimeMs || restoredTimeMs;
  return { nextSeq, segment, previous, lastFrameBytes, fresh: false, lastTimeMs };
}

/** The latest commit time among `count` entries of a checkpoint from index `first` on. */
function lastTimeOf({ doubles }: SlotViews, first: number, count: number): number {
  let last = 0;
  for (let i = first; i < first + count; i++) {
    const at = doubles[(i * ENTRY_WORDS + ENTRY_UPDATED_AT) >> 1] as number;
    if (at > last) last = at;
  }
  return last;
}

/** What a crash left half-made: never published, so nothing relies on it. */
function removeLeftovers({ files, folder, checkpoints }: RecoveryOptions): void {
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
function newestCheckpoint(options: RecoveryOptions): ValidCheckpoint | undefined {
  const { files, folder, checkpoints, tell } = options;
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
