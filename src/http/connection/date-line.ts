/**
 * The `Date` line of an answer, made once a second. Main thread; the hot path.
 *
 * By the clock and not by a timer, so that it is right after the loop was held up.
 */

const SECOND_MS = 1000;

export class DateLine {
  #fromMs = 0;
  #untilMs = 0;
  #line = '';

  /** `Date: …` with its line end, for `nowMs`, the wall clock in ms since the epoch. */
  at(nowMs: number): string {
    if (nowMs < this.#fromMs || nowMs >= this.#untilMs) {
      this.#fromMs = nowMs - (nowMs % SECOND_MS);
      this.#untilMs = this.#fromMs + SECOND_MS;
      this.#line = `Date: ${new Date(nowMs).toUTCString()}\r\n`;
    }
    return this.#line;
  }
}
