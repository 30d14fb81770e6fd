/**
 * What the log thread does in shared memory, step by step, with a thread that may die before or
 * after each step, as it may at each call of the disk. Tests only.
 */
import { LogProgress, type Progress } from '../../src/log/progress.ts';
import type { SlotViews } from '../../src/ring/slot.ts';
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

/** The publisher of a thread that may die before or after each of its steps. */
export class MortalPublisher extends Applying {
  readonly #thread: FaultyFiles;
  readonly #noteTimes: (fromCursor: number, count: number, commitTimeMs: number) => void;

  constructor(
    state: RecoveredState,
    thread: FaultyFiles,
    noteTimes: (fromCursor: number, count: number, commitTimeMs: number) => void,
  ) {
    super(state);
    this.#thread = thread;
    this.#noteTimes = noteTimes;
  }

  override write(
    from: SlotViews,
    fromMask: number,
    fromCursor: number,
    count: number,
    commitTimeMs: number,
  ): void {
    this.#thread.step(() => super.write(from, fromMask, fromCursor, count, commitTimeMs));
    this.#noteTimes(fromCursor, count, commitTimeMs);
  }

  override publish(): void {
    this.#thread.step(() => super.publish());
    // Once more, so that a death after the publishing is among the numbered ones.
    this.#thread.step(() => undefined);
  }
}
