/**
 * What the log thread does in shared memory, step by step, with a thread that may die before or
 * after each step, as it may at each call of the disk. Tests only.
 */
import { ReceiptWindow } from '../../src/dedupe/receipt-window.ts';
import { LogProgress, type Progress } from '../../src/ring/progress.ts';
import { SLOT_DOUBLES, SLOT_SEQ, type SlotViews } from '../../src/ring/slot.ts';
import type { FaultyFiles } from './faulty-files.ts';
import { Applying, type RecoveredState } from './recovered-state.ts';

/** The progress record, which a thread may die before or after storing. */
export class MortalProgress extends LogProgress {
  readonly #thread: FaultyFiles;

  constructor(buffer: SharedArrayBuffer, thread: FaultyFiles) {
    super(buffer);
    this.#thread = thread;
  }

  override store(progress: Progress): void {
    this.#thread.step(() => super.store(progress));
  }
}

/** The window of receipts, which a thread may die before or after it puts one in. */
export class MortalReceipts extends ReceiptWindow {
  readonly #thread: FaultyFiles;

  constructor({ memory }: RecoveredState, thread: FaultyFiles) {
    super(memory.receipts, memory.hashKey);
    this.#thread = thread;
  }

  override put(slots: SlotViews, index: number): void {
    this.#thread.step(() => super.put(slots, index));
  }
}

/** The publisher of a thread that may die before or after each of its steps. */
export class MortalPublisher extends Applying {
  readonly #thread: FaultyFiles;
  readonly #noteTime: (seq: number, commitTimeMs: number) => void;

  constructor(
    state: RecoveredState,
    thread: FaultyFiles,
    noteTime: (seq: number, commitTimeMs: number) => void,
  ) {
    super(state);
    this.#thread = thread;
    this.#noteTime = noteTime;
  }

  override write(
    from: SlotViews,
    fromMask: number,
    fromCursor: number,
    count: number,
    commitTimeMs: number,
  ): void {
    this.#thread.step(() => super.write(from, fromMask, fromCursor, count, commitTimeMs));
    for (let i = 0; i < count; i++) {
      const index = (fromCursor + i) & fromMask;
      this.#noteTime(from.doubles[index * SLOT_DOUBLES + SLOT_SEQ], commitTimeMs);
    }
  }

  override publish(): void {
    this.#thread.step(() => super.publish());
    // Once more, so that a death after the publishing is among the numbered ones.
    this.#thread.step(() => undefined);
  }
}
