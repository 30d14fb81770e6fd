/**
 * Brings the state back at start: what checkpoints hold (checkpoint/restore.ts), then the log from where
 * the oldest of that must be replayed, handed to a sink in order. Decides what is a leftover, what is
 * damage and where the log goes on. Log thread; tests run it on a simulated disk.
 */
import { join } from 'node:path';
import { isTemporaryCheckpoint } from '../checkpoint/format.ts';
import { isTemporaryPart } from '../checkpoint/part-format.ts';
import type { EntriesVisitor } from '../checkpoint/reader.ts';
import {
  expectedReading,
  type ImageTarget,
  type Restored,
  restoreCheckpoints,
} from '../checkpoint/restore.ts';
import type { FileSystem } from '../log/file-system.ts';
import { type CheckedFrame, segmentName } from '../log/format.ts';
import { LogDamagedError } from '../log/log-damaged-error.ts';
import type { FrameVisitor } from '../log/segment-bytes.ts';
import { listSegments } from '../log/segment-headers.ts';
import { logBytes, readLog } from '../log/segment-reader.ts';
import { isTemporary } from '../log/segment-writer.ts';
import type { LogTail } from '../log/sequencer.ts';
import type { SlotViews } from '../ring/slot.ts';
import type { RecoveryMessage } from './recovery-messages.ts';

const REPORT_EVERY_MS = 1000;
/** How much is read between two looks at the clock. */
const LOOK_EVERY_BYTES = 1 << 20;

/** Where the recovered state goes. */
export interface RecoverySink {
  /** Where parts of a checkpoint can lie as they are; without it, they come as entries. */
  readonly image?: ImageTarget | undefined;
  /** Entries of checkpoints, before any frame. */
  readonly entries: EntriesVisitor;
  /** The events of a frame; those before seq `from` are in the checkpoint. */
  readonly frame: (slots: SlotViews, first: number, frame: CheckedFrame, from: number) => void;
  /** Keys of a checkpoint, before any frame: entries of the dedupe window, oldest first. */
  readonly keys: (entries: Int32Array, count: number) => void;
  /** Receipts of batches in a checkpoint, before any frame: those of the oldest keys first. */
  readonly receipts: (slots: SlotViews, first: number, count: number) => void;
  /** Keys and receipts of all events before `seq` were restored; those of later ones are in frames. */
  readonly windowsBefore?: (seq: number) => void;
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
  readonly report: (message: RecoveryMessage) => void;
  /** A clock that never goes back, ms; tests bring their own. */
  readonly nowMs?: () => number;
}

/**
 * Recovers, and returns where the log goes on. Throws LogDamagedError when the disk does not hold
 * what it must, and what the file system and the sink throw.
 */
export function recover(options: RecoveryOptions): LogTail {
  const { files, folder, sink, report, nowMs = () => performance.now() } = options;
  const startedMs = nowMs();
  removeLeftovers(options);
  const { checkpoints } = options;
  const expected = expectedReading(files, checkpoints);
  // An entry takes less time than an event; but who waits sees it go on.
  let totalBytes = expected.bytes + logBytes(files, folder, expected.replayFrom);
  let doneBytes = 0;
  let lookBytes = LOOK_EVERY_BYTES;
  let reportedMs = startedMs;
  const noteDone = (bytes: number) => {
    doneBytes += bytes;
    if (doneBytes < lookBytes) return;
    lookBytes = doneBytes + LOOK_EVERY_BYTES;
    if (nowMs() - reportedMs < REPORT_EVERY_MS) return;
    reportedMs = nowMs();
    report({ type: 'progress', doneBytes, totalBytes });
  };
  const restored = restoreCheckpoints({
    files,
    folder: checkpoints,
    image: sink.image,
    visitor: sink,
    onDamaged: (name, replayFrom, fault) =>
      report({ type: 'checkpoint-damaged', name, replayFrom, ...fault }),
    onBytes: noteDone,
  });
  refuseDamage(options, restored);
  const from = restored.replayFrom;
  if (from !== expected.replayFrom) totalBytes = doneBytes + logBytes(files, folder, from);
  const onFrame: FrameVisitor = (slots, first, frame) => {
    sink.frame(slots, first, frame, from);
    noteDone(frame.bytes);
  };
  const end = readLog(files, folder, from, onFrame, restored.used);
  // A tail that a checkpoint has events of is not torn: they were flushed, and their numbers given.
  if (restored.lastSeq >= end.nextSeq) {
    throw new LogDamagedError(
      end.segment === undefined ? folder : join(folder, segmentName(end.segment.firstSeq)),
      end.segment?.endBytes ?? 0,
      `the log ends before seq ${end.nextSeq}, but a checkpoint holds seq ${restored.lastSeq}`,
    );
  }
  sink.finish();
  for (const { firstSeq, bytes } of restored.outcomes) sink.outcomes(firstSeq, bytes, end.nextSeq);
  if (end.tornTail !== undefined) report({ type: 'torn-tail', ...end.tornTail });
  report({
    type: 'replayed',
    products: restored.products,
    converted: restored.converted,
    replayFrom: from,
    events: end.nextSeq - from,
    segments: end.segments,
    durationMs: nowMs() - startedMs,
  });
  const { nextSeq, segment, previous, lastFrameBytes } = end;
  const lastTimeMs = end.lastTimeMs || restored.lastTimeMs;
  return { nextSeq, segment, previous, lastFrameBytes, fresh: false, lastTimeMs };
}

/** What a crash left half-made: never published, so nothing relies on it. */
function removeLeftovers({ files, folder, checkpoints }: RecoveryOptions): void {
  for (const name of files.list(folder)) {
    if (isTemporary(name)) files.remove(join(folder, name));
  }
  for (const name of files.list(checkpoints)) {
    if (isTemporaryCheckpoint(name)) files.removeFolder(join(checkpoints, name));
    if (isTemporaryPart(name)) files.remove(join(checkpoints, name));
  }
}

/** What damage took must be in the log, from its beginning. Throws LogDamagedError when it is not. */
function refuseDamage({ files, folder }: RecoveryOptions, { damage }: Restored): void {
  if (damage === undefined || listSegments(files, folder)[0] === 1) return;
  throw new LogDamagedError(damage.path, damage.offsetBytes, damage.reason);
}
