/** Hears how long events were on their way from being taken in to the disk. Main thread, the hot path. */
import type { Histogram } from '../metrics/histogram.ts';

export interface DurableAges {
  /** From claimed to settled, in ms; to the turn of the event loop. */
  readonly durable: Histogram;
  /** One of the events that are durable since `nowMs`, now and then; `performance.now()`. */
  readonly note: (seq: number, acceptedMs: number, nowMs: number) => void;
}
