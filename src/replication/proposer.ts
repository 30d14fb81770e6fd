/**
 * The frames of this instance that are on their way: sent, and not yet seen in the stream. Log thread; pure
 * but for what is sent.
 *
 *        first unseen                    next
 *   ─────────┼── sent, at most WINDOW ─────┼──▶ n
 *
 * A publish may be lost, stored twice, or stored and its answer lost: all the same here. What comes back is
 * done with; when nothing has for a while, everything is sent again from the first unseen on (go-back-N),
 * and then only the first, until it moves. What was stored twice is void the second time, everywhere.
 */

/** Frames on their way at the most. */
export const WINDOW_FRAMES = 4;
export const WINDOW_BYTES = 2 << 20;
/** No progress for so long: all is sent again, once. */
export const RESEND_MS = 400;
/** And then the first alone, so often. */
export const PROBE_MS = 200;

interface Sent {
  readonly n: number;
  readonly bytes: Uint8Array;
}

export class Proposer {
  readonly #publish: (message: Uint8Array) => boolean;
  readonly #nowMs: () => number;
  #sent: Sent[] = [];
  #bytes = 0;
  #next = 1;
  #movedMs = 0;
  #sentMs = 0;
  #hasResent = false;

  /** `nowMs`: a clock that never goes back. */
  constructor(publish: (message: Uint8Array) => boolean, nowMs: () => number) {
    this.#publish = publish;
    this.#nowMs = nowMs;
  }

  /** Number of the next frame. */
  get next(): number {
    return this.#next;
  }

  get isEmpty(): boolean {
    return this.#sent.length === 0;
  }

  /** Whether another frame may go on its way. */
  get hasRoom(): boolean {
    return this.#sent.length < WINDOW_FRAMES && this.#bytes < WINDOW_BYTES;
  }

  /** Since when nothing has come back although something is on its way; `undefined` = nothing is. */
  get stuckSinceMs(): number | undefined {
    return this.isEmpty ? undefined : this.#movedMs;
  }

  /** Sends the frame `next`. */
  send(bytes: Uint8Array): void {
    const now = this.#nowMs();
    if (this.isEmpty) this.#moved(now);
    this.#sent.push({ n: this.#next++, bytes });
    this.#bytes += bytes.length;
    this.#sentMs = now;
    this.#publish(bytes);
  }

  /** The frame `n` is in the stream, in its place. */
  seen(n: number): void {
    const first = this.#sent[0];
    if (first?.n !== n) throw new Error(`frame ${n} came back, not ${first?.n ?? 'none'}`);
    this.#sent.shift();
    this.#bytes -= first.bytes.length;
    this.#moved(this.#nowMs());
  }

  /** Forgets what is on its way, and begins anew at 1: for another writer. */
  reset(): void {
    this.#sent = [];
    this.#bytes = 0;
    this.#next = 1;
  }

  /** Ms until `resend` has something to do; Infinity when nothing is on its way. */
  get dueInMs(): number {
    if (this.isEmpty) return Number.POSITIVE_INFINITY;
    const due = this.#hasResent
      ? this.#sentMs + PROBE_MS
      : Math.max(this.#movedMs, this.#sentMs) + RESEND_MS;
    return Math.max(0, due - this.#nowMs());
  }

  /** Sends again what is due. */
  resend(): void {
    if (this.dueInMs > 0) return;
    const again = this.#hasResent ? this.#sent.slice(0, 1) : this.#sent;
    this.#hasResent = true;
    this.#sentMs = this.#nowMs();
    for (const { bytes } of again) this.#publish(bytes);
  }

  #moved(now: number): void {
    this.#movedMs = now;
    this.#hasResent = false;
  }
}
