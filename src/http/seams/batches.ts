/** The seam to whatever takes batches: what HTTP needs of it. Main thread. */
import type { ImportEnd } from '../../bulk/batch-import.ts';
import type { BatchForm, BatchRecord } from '../../bulk/batch-imports.ts';
import type { ByteSource } from '../../bulk/byte-source.ts';
import type { BatchFault } from '../../bulk/fault-list.ts';
import type { BodyRefused } from '../../errors/body-refused.ts';
import type { BatchRefusal } from '../../intake/bulk-intake.ts';

/** What a single event under a key asks. */
export interface BatchKeysKnown {
  /** Whether a batch came under `key`. */
  hasKey(key: Int32Array): boolean | 'busy';
}

export interface Batches extends BatchKeysKnown {
  /**
   * What is on record under `key`. `busy`: that can't be seen just now; `expired`: it is no longer
   * known which events of a batch that was not finished were taken.
   */
  recordOf(key: Int32Array): BatchRecord | 'busy' | 'expired';
  /** Begins an import, which must be ended, or says why not. */
  begin(form: BatchForm, record: BatchRecord | undefined): BatchWork | BatchRefusal;
  /** Resolves when everything that it has queued is settled, and how it ended is on record. */
  settle(work: BatchWork, isQueued: boolean): Promise<void>;
  /** Gives its place to others. Resolves when nothing of it is on its way any more. */
  end(work: BatchWork): Promise<void>;
  /** Events that had faults, in all batches that have ended. */
  readonly refusedEvents: number;
  /** Whole seconds (≥ 1) after which a batch that was refused is worth another try. */
  retryAfterSeconds(): number;
}

/** One batch that is being taken. */
export interface BatchWork {
  readonly batch: BatchState;
  readonly faults: {
    /** The first of them. */
    readonly listed: readonly BatchFault[];
    /** Events that have faults. */
    readonly events: number;
    /** Of these, events from the future of this machine's clock. */
    readonly clockEvents: number;
  };
  /** Events seen so far, faulty ones included. */
  readonly events: number;
  /** Events that were not taken, those of the first time included. */
  readonly rejected: number;
  /** Whether all of it was on record before. */
  readonly isReplay: boolean;
  /** Why the end was `malformed`. */
  readonly malformation: BodyRefused | undefined;
  /** Takes everything from `source`. What is queued then is not settled yet. */
  run(source: ByteSource): Promise<ImportEnd>;
}

export interface BatchState {
  /** Called once when it is to end: the service stops, or the log has not taken what it was given. */
  onStop: () => void;
  /** Called with the seqs of all events that are durable, as of now or from before. */
  onSeqs: ((from: number, to: number) => void) | undefined;
  /** When its first events were queued (`performance.now()`); 0 = none were. */
  readonly queuedAtMs: number;
  /** Events queued and not yet settled. */
  readonly inFlight: number;
  /** Events that are durable now and were not before. */
  readonly accepted: number;
  /** Events that were known already, under the same key. */
  readonly duplicates: number;
  /** Lowest and highest seq of all these; 0 = none. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly hasFailed: boolean;
  /** Whether nothing of it was ever queued. */
  readonly isEmpty: boolean;
}
