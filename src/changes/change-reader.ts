/**
 * A place in the history that moves on: from the commit ring when recent, else from the log's files.
 * Main thread; a slice a call, so that nothing else waits long.
 */
import type { Change } from './change.ts';
import { EventBatch } from './event-batch.ts';
import type { EventChanges } from './event-changes.ts';
import { LogCursor, type LogHistory } from './log-history.ts';
import type { RingHistory } from './ring-history.ts';

/** What all readers share. */
export interface ChangeHistory {
  readonly ring: RingHistory;
  readonly log: LogHistory;
  readonly changes: EventChanges;
  readonly batch: EventBatch;
}

export function changeHistory(
  ring: RingHistory,
  log: LogHistory,
  changes: EventChanges,
): ChangeHistory {
  return { ring, log, changes, batch: new EventBatch() };
}

/**
 * - `moved`: the place is at least one event further.
 * - `busy`: a writer holds the next event's product; read again on a later turn.
 * - `load`: the next event is only in the files; `load` first.
 */
export type ReadStep = 'moved' | 'busy' | 'load';

export class ChangeReader {
  /** Seq of the last event passed. */
  place: number;
  readonly #history: ChangeHistory;
  #cursor: LogCursor | undefined;
  #isLoading = false;

  constructor(history: ChangeHistory, place: number) {
    this.#history = history;
    this.place = place;
  }

  /**
   * Passes the next events up to `until` (> place, applied), SLICE_EVENTS at the most, and hands each
   * that changed something to `onChange`, until that returns false. The change is overwritten by the
   * next one: copy what you keep.
   */
  read(until: number, onChange: (change: Change) => boolean): ReadStep {
    const { ring, changes, batch } = this.#history;
    const from = this.place + 1;
    let count = ring.copy(from, until, batch);
    if (count > 0) this.#leaveFiles();
    else count = this.#cursor?.copy(from, until, batch) ?? 0;
    if (count === 0) return 'load';
    for (let i = 0; i < count; i++) {
      const result = changes.read(batch, i);
      if (result === 'busy') return i > 0 ? 'moved' : 'busy';
      this.place = from + i;
      if (result === 'changed' && !onChange(changes.change)) break;
    }
    return 'moved';
  }

  /** Loads the next event from the files. `gone`: the log does not reach back to it. May throw. */
  async load(): Promise<'loaded' | 'gone'> {
    this.#cursor ??= new LogCursor(this.#history.log);
    this.#isLoading = true;
    try {
      const result = await this.#cursor.load(this.place + 1);
      if (result === 'gone') this.#cursor.release();
      return result;
    } finally {
      this.#isLoading = false;
    }
  }

  /** Gives back shared memory while the reader waits for something else. */
  rest(): void {
    this.#cursor?.release();
  }

  close(): void {
    this.#cursor?.close(this.#isLoading);
    this.#cursor = undefined;
  }

  #leaveFiles(): void {
    if (this.#cursor !== undefined) this.close();
  }
}
