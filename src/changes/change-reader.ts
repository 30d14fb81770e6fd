/**
 * A place in the history that moves on: from the commit ring when recent, else from the log.
 * Main thread; a slice a call, so that nothing else waits long.
 */
import type { HistoryCursor, LogHistory } from '../log/event-log.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import type { Change } from './change.ts';
import { EventBatch } from './event-batch.ts';
import type { EventChanges } from './event-changes.ts';
import type { RingHistory } from './ring-history.ts';

/** What all readers share. */
export interface ChangeHistory {
  readonly ring: RingHistory;
  readonly log: LogHistory;
  readonly changes: EventChanges;
  readonly batch: EventBatch;
  /** Of the ids in the store. */
  readonly hashKey: HashKey;
}

export function changeHistory(
  ring: RingHistory,
  log: LogHistory,
  changes: EventChanges,
  hashKey: HashKey,
): ChangeHistory {
  return { ring, log, changes, batch: new EventBatch(), hashKey };
}

/**
 * - `moved`: the place is at least one event further.
 * - `busy`: a writer holds the next event's product; read again on a later turn.
 * - `load`: the next event is only in the log; `load` first.
 */
export type ReadStep = 'moved' | 'busy' | 'load';

export class ChangeReader {
  /** Seq of the last event passed. */
  place: number;
  readonly #history: ChangeHistory;
  #cursor: HistoryCursor | undefined;

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
    const { ring, changes, batch, hashKey } = this.#history;
    const from = this.place + 1;
    let count = ring.copy(from, until, batch);
    if (count > 0) this.close();
    else {
      count = this.#cursor?.copy(from, until, batch.slots) ?? 0;
      batch.hash(count, hashKey);
    }
    if (count === 0) return 'load';
    for (let i = 0; i < count; i++) {
      const result = changes.read(batch, i);
      if (result === 'busy') return i > 0 ? 'moved' : 'busy';
      this.place = from + i;
      if (result === 'changed' && !onChange(changes.change)) break;
    }
    return 'moved';
  }

  /** Loads the next event from the log. `gone`: the log does not reach back to it. May throw. */
  load(): Promise<'loaded' | 'gone'> {
    this.#cursor ??= this.#history.log.open();
    return this.#cursor.load(this.place + 1);
  }

  /** Gives back shared memory while the reader waits for something else. */
  rest(): void {
    this.#cursor?.release();
  }

  close(): void {
    this.#cursor?.close();
    this.#cursor = undefined;
  }
}
