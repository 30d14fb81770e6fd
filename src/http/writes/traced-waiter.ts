/** Waits for the fate of an event whose request is traced, and passes it on. Main thread. */
import type { EventWaiter } from '../../intake/event-intake.ts';
import type { RequestTrace } from '../seams/request-traces.ts';

export class TracedWaiter implements EventWaiter {
  readonly #trace: RequestTrace;
  readonly #waiter: EventWaiter;

  constructor(trace: RequestTrace, waiter: EventWaiter) {
    this.#trace = trace;
    this.#waiter = waiter;
    trace.enqueued();
  }

  durable(seq: number, isReplayed = false): void {
    this.#trace.durable(seq, isReplayed);
    this.#waiter.durable(seq, isReplayed);
  }

  conflict(): void {
    this.#trace.refused('idempotency-conflict');
    this.#waiter.conflict();
  }

  noRoom(): void {
    this.#trace.refused('store-full');
    if (this.#waiter.noRoom === undefined) this.#waiter.failed('none');
    else this.#waiter.noRoom();
  }

  failed(outcome: 'none' | 'unknown'): void {
    this.#trace.refused('storage-unavailable');
    this.#waiter.failed(outcome);
  }
}
