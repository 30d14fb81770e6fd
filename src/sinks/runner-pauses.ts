/**
 * The pauses of a sink's life, and what ends them: a wake-up ends the one that is under way, the drain and the
 * stop end it and all to come. The sink's own thread.
 */
import { pause } from './pauses.ts';

export class RunnerPauses {
  #isDraining = false;
  #isStopping = false;
  /** Ends the pause that is under way, once. */
  #wake = new AbortController();

  /** Nothing more will be applied: no pause is worth it any more. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  get isStopping(): boolean {
    return this.#isStopping;
  }

  drain(): void {
    this.#isDraining = true;
    this.#wake.abort();
  }

  stop(): void {
    this.#isStopping = true;
    this.#wake.abort();
  }

  wake(): void {
    this.#wake.abort();
  }

  /** Wakes from the pause that is under way or comes next, and from no later one. */
  waker(): () => void {
    const wake = this.#wake;
    return () => wake.abort();
  }

  /** A wake-up that came before means no pause from here on. */
  forget(): void {
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
  }

  /** Up to `ms`; ended at once if somebody woke it since `forget`. */
  sleep(ms: number): Promise<void> {
    return pause(ms, this.#wake.signal);
  }

  /** Up to `ms`, whoever woke it before; none while it drains or stops. */
  async pause(ms: number): Promise<void> {
    if (this.#isDraining || this.#isStopping) return;
    this.forget();
    await this.sleep(ms);
  }
}
