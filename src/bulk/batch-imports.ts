/**
 * Where batches are taken: looks up what is on record under a request's key, begins the import of a
 * body and ends it. Main thread.
 */

import type { BatchReceipt } from '../dedupe/batch-receipt.ts';
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { type BatchEvents, batchEvents } from '../event/batch-event.ts';
import type { BatchRefusal, BulkIntake } from '../intake/bulk-intake.ts';
import { ArrayReader } from './array-reader.ts';
import type { BatchImport } from './batch-import.ts';
import { BatchKeys } from './batch-keys.ts';
import { BatchReceipts, isResumable } from './batch-receipts.ts';
import { NdjsonReader } from './ndjson-reader.ts';
import { StagedImport } from './staged-import.ts';
import { StreamImport } from './stream-import.ts';

export interface BatchImportsOptions {
  readonly intake: BulkIntake;
  /** The keys known to the sequencer. */
  readonly known: DedupeWindow;
  /** The receipts of batches known to it. */
  readonly receipts: ReceiptWindow;
  /** The least stock that an event may set. */
  readonly stockMin: number;
  /** Longest body, decoded, of a batch that is taken whole. */
  readonly batchBytesMax: number;
}

export interface BatchForm {
  /** A JSON array; else one event a line. */
  readonly isArray: boolean;
  /** The good events of any number; else all events or none. */
  readonly isStream: boolean;
}

/** The key of a request, and what is on record under it. */
export interface BatchRecord {
  readonly key: Int32Array;
  readonly found: BatchReceipt | undefined;
}

export class BatchImports {
  readonly #options: BatchImportsOptions;
  readonly #events: BatchEvents;
  #refusedEvents = 0;

  constructor(options: BatchImportsOptions) {
    this.#options = options;
    this.#events = batchEvents(options.stockMin);
  }

  /** Whether a batch came under `key`, as far as that can be seen just now. */
  hasKey(key: Int32Array): boolean | 'busy' {
    const found = this.#options.receipts.find(key);
    return found === 'busy' ? found : found !== undefined;
  }

  /**
   * What is on record under `key`. `busy`: that can't be seen just now; `expired`: a batch that was
   * not finished, and which of its events were taken is no longer known.
   */
  recordOf(key: Int32Array): BatchRecord | 'busy' | 'expired' {
    const { receipts, known } = this.#options;
    const found = receipts.find(key);
    if (found === 'busy') return 'busy';
    return found === undefined || isResumable(found, known) ? { key, found } : 'expired';
  }

  /** Begins an import, which must be ended, or says why not. `record`: of a request with a key. */
  begin(form: BatchForm, record: BatchRecord | undefined): BatchImport | BatchRefusal {
    const { intake, known, batchBytesMax } = this.#options;
    const batch = intake.begin();
    if (typeof batch === 'string') return batch;
    try {
      const parts = {
        intake,
        batch,
        reader: form.isArray ? new ArrayReader(this.#events) : new NdjsonReader(this.#events),
        keys: new BatchKeys(record?.key),
        known,
        receipts:
          record === undefined ? undefined : new BatchReceipts({ intake, batch, ...record }),
      };
      return form.isStream
        ? new StreamImport(parts)
        : new StagedImport({ ...parts, bytesMax: batchBytesMax });
    } catch (error) {
      void intake.end(batch);
      throw error;
    }
  }

  /**
   * Resolves when everything that `work` has queued is settled, and how the request ended is on record;
   * `isQueued`: it ended as `queued`.
   */
  async settle(work: BatchImport, isQueued: boolean): Promise<void> {
    await this.#options.intake.whenSettled(work.batch);
    await work.putOnRecord(isQueued);
  }

  /** Nothing more comes of it. Resolves when nothing of it is on its way any more. */
  end(work: BatchImport): Promise<void> {
    this.#refusedEvents += work.faults.events;
    return this.#options.intake.end(work.batch);
  }

  /** Events that had faults, in all batches that have ended. */
  get refusedEvents(): number {
    return this.#refusedEvents;
  }

  /** Whole seconds (≥ 1) after which a batch that was refused is worth another try. */
  retryAfterSeconds(): number {
    return this.#options.intake.retryAfterSeconds();
  }
}
