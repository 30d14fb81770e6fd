/**
 * What both ways of taking a batch share: slice by slice from the source through the reader into a
 * sink, and the record of what was wrong. Main thread; one slice in a turn of the event loop.
 */

import type { BodyRefused } from '../errors/body-refused.ts';
import type { BodyFault } from '../errors/problems.ts';
import { FUTURE_MS_MAX } from '../event/event-time.ts';
import type { Batch } from '../intake/batch.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import type { SlotViews } from '../ring/slot.ts';
import type { BatchReader, EventSink } from './batch-reader.ts';
import type { ByteSource } from './byte-source.ts';
import { FaultList } from './fault-list.ts';

/**
 * How an import ends:
 * - `queued`: the body was read to its end, and all its good events are on their way.
 * - `faulty`: not all events are good, and this import wants all or none; nothing was queued.
 * - `malformed`: the body is no batch from some place on; `malformation` says why.
 * - `conflict`: events came before under the same keys, and were others; nothing was queued.
 * - `store-full`, `undecided`: not all new products have room; nothing was queued.
 * - `stopping`: the service stops; what was queued before is on its way.
 * - `failed`: the log did not take in time what it was given.
 */
export type ImportEnd =
  | 'queued'
  | 'faulty'
  | 'malformed'
  | 'conflict'
  | 'store-full'
  | 'undecided'
  | 'stopping'
  | 'failed';

type ReadEnd = 'done' | 'malformed' | 'stopping' | 'failed';

export abstract class BatchImport implements EventSink {
  readonly faults = new FaultList();
  readonly batch: Batch;
  protected readonly intake: BulkIntake;
  readonly #reader: BatchReader;

  constructor(intake: BulkIntake, batch: Batch, reader: BatchReader) {
    this.intake = intake;
    this.batch = batch;
    this.#reader = reader;
  }

  /** Events seen so far, faulty ones included. */
  get events(): number {
    return this.#reader.events;
  }

  /** Why the end was `malformed`. */
  get malformation(): BodyRefused | undefined {
    return this.#reader.malformation;
  }

  /** Takes everything from `source`. What is queued then is not settled yet. */
  abstract run(source: ByteSource): Promise<ImportEnd>;

  abstract readonly slots: SlotViews;
  abstract nextSlot(): number;
  abstract take(number: number, order: number, eventId: string | undefined): boolean;

  refuse(number: number, faults: readonly BodyFault[]): void {
    this.faults.add(number, faults);
  }

  /** Reads the body to its end, or as far as it goes. */
  protected async readAll(source: ByteSource): Promise<ReadEnd> {
    let state: ReadEnd | 'hungry' = 'hungry';
    while (state === 'hungry') {
      const chunk = await source.next();
      if (chunk === undefined) {
        this.#reader.end();
        state = await this.#readOn();
        continue;
      }
      for (let from = 0; from < chunk.length && state === 'hungry'; ) {
        from += this.#reader.fill(chunk, from);
        state = await this.#readOn();
      }
    }
    return state;
  }

  async #readOn(): Promise<ReadEnd | 'hungry'> {
    for (;;) {
      await this.intake.turns.next();
      if (!this.intake.isOpen) return 'stopping';
      if (this.batch.hasFailed) return 'failed';
      const nowMs = Date.now();
      const state = this.#reader.read(this, nowMs, nowMs + FUTURE_MS_MAX);
      this.intake.publish();
      if (state === 'blocked') await this.intake.whenRoom(this.batch, true);
      else if (state !== 'more') return state;
    }
  }
}
