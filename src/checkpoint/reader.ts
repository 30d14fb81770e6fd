/**
 * Reads windows, and whole checkpoints of format 1, back: checks them to the last byte, and hands out
 * what is in them. Writes nothing. Log thread at start, the checkpoint's thread; also the tools.
 */
import { join } from 'node:path';
import type { FileSystem } from '../log/file-system.ts';
import { type CheckedFrame, FRAME_HEADER_BYTES } from '../log/format.ts';
import { FrameWindow } from '../log/frame-window.ts';
import { SLOT_BYTES, SLOT_DOUBLES, type SlotViews } from '../ring/slot.ts';
import { ENTRY_SEQ } from '../store/shard.ts';
import {
  CHECKPOINT_HEADER_BYTES,
  checkFileHeader,
  checkpointName,
  DEDUPE_KIND,
  type FileKind,
  filesOf,
  MANIFEST_NAME,
  type Manifest,
  type ManifestFile,
  OUTCOMES_KIND,
  parseCheckpointName,
  parseWindowsName,
  RECEIPTS_KIND,
  unpackManifest,
} from './format.ts';
import { keysIn, outcomesIn } from './windows.ts';

/** A checkpoint file that is not what it should be. */
export interface CheckpointFault {
  readonly path: string;
  readonly offsetBytes: number;
  readonly reason: string;
}

/** A checkpoint that was checked to the last byte. */
export interface ValidCheckpoint {
  readonly path: string;
  readonly manifest: Manifest;
}

/**
 * Called for each run of entries: `count` of them stand in `entries`, which steps by entry size,
 * from index `first` on. The memory is reused, and the caller may write to it.
 */
export type EntriesVisitor = (entries: SlotViews, first: number, count: number) => void;

export interface CheckpointVisitor {
  readonly entries: EntriesVisitor;
  /**
   * For runs of keys, oldest first: `count` entries of the dedupe window, of events before the replay
   * seq. The memory is reused.
   */
  readonly keys: (entries: Int32Array, count: number) => void;
  /** For runs of receipts, those of the oldest keys first. The memory is reused. */
  readonly receipts: (slots: SlotViews, first: number, count: number) => void;
  /** For runs of outcomes: of the events from `firstSeq` on, a byte each. */
  readonly outcomes: (firstSeq: number, bytes: Uint8Array) => void;
}

/** The highest seq among `count` entries from index `first` on: the log held every event up to it. */
export function lastSeqOf({ doubles }: SlotViews, first: number, count: number): number {
  let last = 0;
  for (let i = first; i < first + count; i++) {
    const seq = doubles[i * SLOT_DOUBLES + (ENTRY_SEQ >> 1)];
    if (seq > last) last = seq;
  }
  return last;
}

/** The checkpoints in `folder`, newest first, by name. */
export function listCheckpoints(files: FileSystem, folder: string): number[] {
  return files
    .list(folder)
    .map(parseCheckpointName)
    .filter((seq) => seq !== undefined)
    .sort((a, b) => b - a);
}

/** The windows in `folder`, newest first, by name. */
export function listWindows(files: FileSystem, folder: string): number[] {
  return files
    .list(folder)
    .map(parseWindowsName)
    .filter((seq) => seq !== undefined)
    .sort((a, b) => b - a);
}

/**
 * Checks every byte of one checkpoint, or, under their `name`, of windows; returns it, or the first
 * fault found.
 */
export function checkCheckpoint(
  files: FileSystem,
  folder: string,
  replayFrom: number,
  name = checkpointName(replayFrom),
): ValidCheckpoint | CheckpointFault {
  const path = join(folder, name);
  const manifest = readManifest(files, path, replayFrom);
  if ('reason' in manifest) return manifest;
  const fault = readFiles(files, path, manifest, () => undefined);
  return fault ?? { path, manifest };
}

/** Hands out all of a checkpoint that was checked. Throws if it changed since. */
export function readCheckpoint(
  files: FileSystem,
  { path, manifest }: ValidCheckpoint,
  visitor: CheckpointVisitor,
): void {
  const { firstSeq = 1, endSeq = 1 } = manifest.outcomes ?? {};
  const fault = readFiles(files, path, manifest, ({ content }, slots, first, frame) => {
    if (content === DEDUPE_KIND.content) {
      const { entries, count } = keysIn(slots, first, frame.count);
      visitor.keys(entries, count);
    } else if (content === RECEIPTS_KIND.content) {
      visitor.receipts(slots, first, frame.count);
    } else if (content === OUTCOMES_KIND.content) {
      const from = firstSeq + frame.firstSeq * SLOT_BYTES;
      visitor.outcomes(from, outcomesIn(slots, first, frame.count, endSeq - from));
    } else {
      visitor.entries(slots, first, frame.count);
    }
  });
  if (fault !== undefined) throw new Error(`${fault.path}: ${fault.reason}, since it was checked`);
}

function readManifest(
  files: FileSystem,
  folder: string,
  replayFrom: number,
): Manifest | CheckpointFault {
  const path = join(folder, MANIFEST_NAME);
  const window = new FrameWindow(files);
  const manifest = readIfThere(window, path, () => unpackManifest(window.part(0, window.size)));
  if (manifest === undefined) return { path, offsetBytes: 0, reason: 'the manifest is missing' };
  if (typeof manifest === 'string') return { path, offsetBytes: 0, reason: manifest };
  if (manifest.replayFrom !== replayFrom) {
    return { path, offsetBytes: 0, reason: `it belongs to seq ${manifest.replayFrom}` };
  }
  return manifest;
}

/** Called for each frame: its slots stand in `slots` from index `first` on. */
type FileVisitor = (kind: FileKind, slots: SlotViews, first: number, frame: CheckedFrame) => void;

function readFiles(
  files: FileSystem,
  folder: string,
  manifest: Manifest,
  visit: FileVisitor,
): CheckpointFault | undefined {
  const nonce = Buffer.from(manifest.nonce, 'hex');
  const window = new FrameWindow(files);
  for (const file of filesOf(manifest)) {
    const path = join(folder, file.name);
    const onFrame = (at: number, frame: CheckedFrame) => {
      const { slots, first } = window.slotsAt(at);
      visit(file.kind, slots, first, frame);
    };
    const fault = readIfThere(window, path, () =>
      readFrameFile(path, window, file, file.kind, nonce, onFrame),
    );
    if (fault === undefined) return { path, offsetBytes: 0, reason: 'the file is missing' };
    if (fault !== 'whole') return fault;
  }
  return undefined;
}

function readFrameFile(
  path: string,
  window: FrameWindow,
  file: ManifestFile,
  kind: FileKind,
  nonce: Buffer,
  onFrame: (at: number, frame: CheckedFrame) => void,
): CheckpointFault | 'whole' {
  const fault = (offsetBytes: number, reason: string) => ({ path, offsetBytes, reason });
  const { size } = window;
  const wrongHeader = checkFileHeader(window.part(0, CHECKPOINT_HEADER_BYTES), nonce, kind);
  if (wrongHeader !== undefined) return fault(0, wrongHeader);
  if (size !== file.bytes) return fault(size, `${size} bytes, the manifest says ${file.bytes}`);
  let at = CHECKPOINT_HEADER_BYTES;
  let chain = 0;
  let entries = 0;
  while (at < size) {
    const frame = window.frameAt(at, nonce);
    if (typeof frame === 'string') return fault(at, frame);
    if (frame.chain !== chain || frame.firstSeq !== entries) {
      return fault(at, `the frame does not follow entry ${entries - 1}`);
    }
    onFrame(at + FRAME_HEADER_BYTES, frame);
    at += frame.bytes;
    chain = frame.crc;
    entries += frame.count;
  }
  if (entries !== file.entries || chain !== file.chain) {
    return fault(at, `${entries} entries, the manifest says ${file.entries}`);
  }
  return 'whole';
}

/** What `read` makes of the file, or `undefined` if there is none. */
function readIfThere<T>(window: FrameWindow, path: string, read: () => T): T | undefined {
  try {
    return window.reading(path, read);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
