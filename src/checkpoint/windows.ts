/**
 * The windows on the last events in a checkpoint: which keys are known (dedupe.ckp), the receipts of
 * batches (receipts.ckp) and what became of events (outcomes.ckp). Writing and reading; checkpoint thread, log thread at start, tools.
 *
 * Keys: those of events before the windows' replay seq. The replay adds the others from the log; so it
 * starts no later than there, as if they were one more shard.
 *
 * Receipts: all that there are. Those that the log has from the windows' replay seq on, it brings again,
 * in order. They are in the window before the appliers see anything of their batch, so none before
 * that seq is missing; and before `end` below is taken, so that the log must reach up to them.
 *
 * Outcomes: an entry that was copied may hold events from its part's replay seq on, and those before it
 * in the entry's product can't be applied again as it was at the replay; nor can those before the replay seq, which
 * are not replayed to this shard. So the outcomes of all events up to the last one that any entry of any
 * part may hold are kept, in pieces that follow each other: here all that the window holds, and in each
 * part those of the events since the piece before. A piece is copied when the entries of its part are:
 * first `end` is taken, the next seq: no entry that was copied holds an event behind it. Then the
 * appliers' passing it is waited for: from then on the outcomes of all events before `end` are final,
 * and they are copied. At the start
 *  1. an event that a piece covers has the outcome that stands there, whatever the replay made of it;
 *  2. one behind all pieces is applied anew, by the state that it met the first time, and so in the same
 *     way: its product's entry is older, and every event in between is replayed in order.
 * A piece in a part that is damaged is lost: what it alone covered is not known any more (`expired`).
 */
import {
  DEDUPE_ENTRY_BYTES,
  DEDUPE_ENTRY_WORDS,
  type DedupeWindow,
} from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { FRAME_HEADER_BYTES } from '../log/format.ts';
import type { OutcomeWindow } from '../outcome/outcome-window.ts';
import { SLOT_BYTES, SLOT_WORDS, type SlotViews } from '../ring/slot.ts';
import {
  DEDUPE_FILE_NAME,
  DEDUPE_KIND,
  type Manifest,
  type ManifestFile,
  OUTCOMES_FILE_NAME,
  OUTCOMES_KIND,
  type OutcomesFile,
  RECEIPTS_FILE_NAME,
  RECEIPTS_KIND,
} from './format.ts';
import { type FrameFileOptions, type FrameSink, writeFrameFile } from './frame-file.ts';

/** Payload of a frame: whole slots, and whole entries of the dedupe window. */
const FRAME_SLOTS = 3072;
const FRAME_BYTES = FRAME_SLOTS * SLOT_BYTES;

export interface CheckpointWindows {
  readonly dedupe: DedupeWindow;
  /** `undefined` = none are known. */
  readonly receipts: Pick<ReceiptWindow, 'all'> | undefined;
  /** `undefined` = none are known. */
  readonly outcomes: OutcomesSource | undefined;
}

export interface OutcomesSource {
  readonly window: OutcomeWindow;
  /** Seq of the next event to be committed. */
  nextSeq(): number;
  /** Returns when all events before `seq`, which are committed, are applied; or throws. */
  waitUntilApplied(seq: number): void;
}

/** Outcomes of the events from `firstSeq` on, a byte each. */
export interface KnownOutcomes {
  readonly firstSeq: number;
  readonly bytes: Uint8Array;
}

/** Writes the files. Throws what the file system, the rests and the wait throw. */
export function writeWindows(
  file: FrameFileOptions,
  { dedupe, receipts, outcomes }: CheckpointWindows,
  replayFrom: number,
): Pick<Manifest, 'dedupe' | 'receipts' | 'outcomes'> {
  return {
    dedupe: writeKeys(file, dedupe, replayFrom),
    receipts: receipts === undefined ? undefined : writeReceipts(file, receipts),
    outcomes: outcomes === undefined ? undefined : writeOutcomes(file, copyOutcomes(outcomes, 1)),
  };
}

function writeKeys(file: FrameFileOptions, window: DedupeWindow, replayFrom: number): ManifestFile {
  const memory = new ArrayBuffer(FRAME_HEADER_BYTES + FRAME_BYTES);
  const frame = Buffer.from(memory);
  const entries = new Int32Array(memory, FRAME_HEADER_BYTES);
  return writeFrameFile(file, DEDUPE_FILE_NAME, DEDUPE_KIND, (append) => {
    for (const count of window.entriesBefore(replayFrom, entries)) {
      appendBytes(append, frame, count * DEDUPE_ENTRY_BYTES);
    }
  });
}

function writeReceipts(file: FrameFileOptions, window: Pick<ReceiptWindow, 'all'>): ManifestFile {
  const memory = new ArrayBuffer(FRAME_HEADER_BYTES + FRAME_BYTES);
  const frame = Buffer.from(memory);
  return writeFrameFile(file, RECEIPTS_FILE_NAME, RECEIPTS_KIND, (append) => {
    let count = 0;
    for (const { bytes } of window.all()) {
      frame.set(bytes, FRAME_HEADER_BYTES + count * SLOT_BYTES);
      if (++count < FRAME_SLOTS) continue;
      append(frame, count);
      count = 0;
    }
    if (count > 0) append(frame, count);
  });
}

/** The outcomes of all events from `least` on that the window holds. Throws what the wait throws. */
export function copyOutcomes(source: OutcomesSource, least: number): KnownOutcomes {
  const { window } = source;
  const end = source.nextSeq();
  source.waitUntilApplied(end);
  const from = Math.min(end, Math.max(least, end - window.capacity));
  const bytes = Uint8Array.from({ length: end - from }, (_, i) => window.load(from + i));
  // Read after the bytes: an event that overwrites one was committed before it was applied.
  const firstSeq = Math.min(end, Math.max(from, source.nextSeq() - window.capacity));
  return { firstSeq, bytes: bytes.subarray(firstSeq - from) };
}

function writeOutcomes(file: FrameFileOptions, { firstSeq, bytes }: KnownOutcomes): OutcomesFile {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + FRAME_BYTES);
  const written = writeFrameFile(file, OUTCOMES_FILE_NAME, OUTCOMES_KIND, (append) => {
    for (let at = 0; at < bytes.length; at += FRAME_BYTES) {
      const part = bytes.subarray(at, at + FRAME_BYTES);
      frame.set(part, FRAME_HEADER_BYTES);
      appendBytes(append, frame, part.length);
    }
  });
  return { ...written, firstSeq, endSeq: firstSeq + bytes.length };
}

/** Appends the first `length` bytes of the frame's payload, and zeros up to a whole slot. */
function appendBytes(append: FrameSink, frame: Buffer, length: number): void {
  const slots = Math.ceil(length / SLOT_BYTES);
  frame.fill(0, FRAME_HEADER_BYTES + length, FRAME_HEADER_BYTES + slots * SLOT_BYTES);
  append(frame, slots);
}

/** The entries of the dedupe window in `count` slots of a frame, and how many they are. */
export function keysIn(
  slots: SlotViews,
  first: number,
  count: number,
): { readonly entries: Int32Array; readonly count: number } {
  const entries = slots.words.subarray(first * SLOT_WORDS, (first + count) * SLOT_WORDS);
  let n = Math.floor(entries.length / DEDUPE_ENTRY_WORDS);
  // No entry is all zeros.
  while (n > 0 && isZeroEntry(entries, (n - 1) * DEDUPE_ENTRY_WORDS)) n--;
  return { entries, count: n };
}

function isZeroEntry(entries: Int32Array, at: number): boolean {
  return entries.subarray(at, at + DEDUPE_ENTRY_WORDS).every((word) => word === 0);
}

/** The outcomes in `count` slots of a frame, of which `known` bytes are left. */
export function outcomesIn(slots: SlotViews, first: number, count: number, left: number): Buffer {
  const bytes = Math.min(left, count * SLOT_BYTES);
  return Buffer.from(slots.bytes.subarray(first * SLOT_BYTES, first * SLOT_BYTES + bytes));
}
