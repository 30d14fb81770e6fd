/**
 * How long it takes from the moment an event is taken in until every read shows it, by samples: one
 * event at a time, and a few in a second. To ask for each of them would wake the main thread for each.
 * Main thread.
 */
import { Histogram } from '../metrics/histogram.ts';
import type { AppliedWatermark } from './applied-watermark.ts';

/** Between the beginnings of two samples. */
const SAMPLE_EVERY_MS = 50;

export class AppliedAges {
  /** In ms. */
  readonly sampled = new Histogram();
  readonly #watermark: Pick<AppliedWatermark, 'whenApplied'>;
  #isWaiting = false;
  #notBeforeMs = Number.NEGATIVE_INFINITY;

  constructor(watermark: Pick<AppliedWatermark, 'whenApplied'>) {
    this.#watermark = watermark;
  }

  /** The event `seq`, taken in at `acceptedMs`, is durable at `nowMs` (`performance.now()`). */
  note(seq: number, acceptedMs: number, nowMs: number): void {
    if (this.#isWaiting || nowMs < this.#notBeforeMs) return;
    this.#isWaiting = true;
    this.#notBeforeMs = nowMs + SAMPLE_EVERY_MS;
    this.#watermark.whenApplied(seq, () => {
      this.#isWaiting = false;
      this.sampled.observe(performance.now() - acceptedMs);
    });
  }
}
