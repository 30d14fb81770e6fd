/**
 * Counts events that were refused because they lie in the future, and logs when there are many: then
 * this machine's clock is wrong, or that of the senders, and updates are lost at their end. Main thread.
 */
import type { Logger } from 'pino';
import type { BodyFault } from '../../errors/problems.ts';
import { blamesClock } from '../../event/event-time-faults.ts';

/** So many within OFTEN_MS are worth a line; one line in that time. */
const OFTEN_EVENTS = 10;
const OFTEN_MS = 60_000;

export class FutureEvents {
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #steadyMs: () => number;
  #sinceMs = Number.NEGATIVE_INFINITY;
  #events = 0;

  /** `steadyMs` never goes back; tests bring their own. */
  constructor(logger: Pick<Logger, 'warn'>, steadyMs = () => performance.now()) {
    this.#logger = logger;
    this.#steadyMs = steadyMs;
  }

  /** An event was refused for these. */
  note(faults: readonly BodyFault[]): void {
    if (faults.some(blamesClock)) this.count(1);
  }

  /** So many events were refused for their time. */
  count(events: number): void {
    if (events === 0) return;
    const nowMs = this.#steadyMs();
    if (nowMs - this.#sinceMs >= OFTEN_MS) {
      this.#sinceMs = nowMs;
      this.#events = 0;
    }
    const before = this.#events;
    this.#events += events;
    if (before >= OFTEN_EVENTS || this.#events < OFTEN_EVENTS) return;
    const now = new Date().toISOString();
    this.#logger.warn(
      { refused: this.#events, now },
      `clock: ${this.#events} events within a minute were refused because they lie in the future; ` +
        `this machine's clock says ${now}, and either it is behind or the senders' are ahead`,
    );
  }
}
