/**
 * Watches the machine's clock against the one that only counts on, and logs when it was set back or
 * jumped forward (a wrong clock put right, a machine that was suspended). Main thread; looks once a
 * second. What a jump means for events: docs/times.md.
 */
import type { Logger } from 'pino';

const LOOK_EVERY_MS = 1000;
/** Slewing moves a clock by less than a thousandth; what moves it by this much between looks set it. */
const JUMP_MS_MIN = 1000;
/** A thread that was held up for so long between two clocks can't compare them. */
const READING_MS_MAX = 100;

export interface Clocks {
  /** Ms since the epoch; may be set. */
  readonly wallMs: () => number;
  /** Ms since whenever; never set. */
  readonly steadyMs: () => number;
}

const MACHINE: Clocks = { wallMs: () => Date.now(), steadyMs: () => performance.now() };

export class ClockWatch {
  readonly #logger: Pick<Logger, 'warn'>;
  readonly #clocks: Clocks;
  readonly #timer: NodeJS.Timeout;
  /** Wall time at steady time 0, as of the last look. */
  #offsetMs: number | undefined;

  /** Starts watching; tests bring their own clocks. */
  constructor(logger: Pick<Logger, 'warn'>, clocks: Clocks = MACHINE) {
    this.#logger = logger;
    this.#clocks = clocks;
    this.#timer = setInterval(() => this.look(), LOOK_EVERY_MS).unref();
    this.look();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  look(): void {
    const { wallMs, steadyMs } = this.#clocks;
    const beforeMs = steadyMs();
    const nowMs = wallMs();
    if (steadyMs() - beforeMs > READING_MS_MAX) return;
    const offsetMs = nowMs - beforeMs;
    const byMs = Math.round(offsetMs - (this.#offsetMs ?? offsetMs));
    this.#offsetMs = offsetMs;
    if (Math.abs(byMs) < JUMP_MS_MIN) return;
    const now = new Date(nowMs).toISOString();
    const seconds = Math.round(Math.abs(byMs) / 1000);
    const what = byMs < 0 ? 'was set back' : 'jumped forward';
    this.#logger.warn({ byMs, now }, `clock: it ${what} by ${seconds} s and says ${now}`);
  }
}
