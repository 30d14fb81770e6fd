/**
 * One connection that follows the changes as server-sent events: what is written to it, how much of
 * that it has not taken yet, and how it ends. Main thread.
 *
 * `id: N` alone (at the beginning, in heartbeats) moves the client's Last-Event-ID without an event:
 * a client that saw nothing but stale events resumes behind them all the same.
 */
import type { ServerResponse } from 'node:http';

/** Whoever doesn't take the final event in this time is cut off. */
const GOODBYE_MS_MAX = 5000;
/** Heartbeats that a stuck client is given before it counts as gone. */
const STUCK_BEATS_MAX = 2;
/** What a client waits before it connects again. */
const RETRY_MS = 2000;

export type FinalEvent = 'dropped' | 'stopping' | 'failed';

export interface FollowerOptions {
  readonly response: ServerResponse;
  /** CHANGES_BUFFER: bytes that it may have outstanding. */
  readonly bufferBytesMax: number;
  /** Called once, when it ends or goes. */
  readonly onGone: (follower: Follower) => void;
}

export class Follower {
  /** Seq of the last event that was passed on this connection, told or not. */
  place: number;
  readonly #options: FollowerOptions;
  #isEnded = false;
  #isQuiet = false;
  #stuckBeats = 0;
  #onRoom: (() => void) | undefined;

  /** The headers are written; `place` is where it begins. */
  constructor(options: FollowerOptions, place: number) {
    this.#options = options;
    this.place = place;
    const { response } = options;
    response.on('drain', () => {
      this.#stuckBeats = 0;
      this.#tellRoom();
    });
    response.once('close', () => this.#leave());
    response.write(`retry: ${RETRY_MS}\nid: ${place}\n\n`);
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Writes events up to `place`; `''` if none of them changed anything. Waiting for room is the caller's. */
  write(events: Buffer | string, place: number): void {
    this.place = place;
    if (events.length === 0) return;
    this.#isQuiet = false;
    this.#options.response.write(events);
  }

  /**
   * The same for who can't wait: a follower that has too much outstanding is dropped instead. What is
   * written leaves for the kernel at the end of the turn, so this slice itself is not judged yet.
   */
  push(events: Buffer | string, place: number): void {
    const { response, bufferBytesMax } = this.#options;
    if (response.writableLength > bufferBytesMax) this.end('dropped');
    else this.write(events, place);
  }

  /** The log does not reach back: what follows comes after `seq`. */
  reset(seq: number): void {
    this.write(`event: reset\nid: ${seq}\ndata: {"seq":${seq}}\n\n`, seq);
  }

  /** Whether it has taken what it was given so far; the socket's own buffer apart. */
  get hasRoom(): boolean {
    return !this.#options.response.writableNeedDrain;
  }

  /** Resolves when it has taken all that was written, or ended. */
  whenRoom(): Promise<void> {
    if (this.hasRoom || this.#isEnded) return Promise.resolve();
    return new Promise((resolve) => {
      this.#onRoom = resolve;
    });
  }

  /** Something to hear where nothing was told since the last beat; drops who has been stuck for long. */
  beat(): void {
    if (!this.hasRoom) {
      if (++this.#stuckBeats >= STUCK_BEATS_MAX) this.end('dropped');
      return;
    }
    if (this.#isQuiet) this.#options.response.write(`: heartbeat\nid: ${this.place}\n\n`);
    this.#isQuiet = true;
  }

  /** Ends it with a final event; the client resumes at its last id. */
  end(event: FinalEvent): void {
    if (this.#isEnded) return;
    const { response } = this.#options;
    const cutOff = setTimeout(() => response.destroy(), GOODBYE_MS_MAX);
    response.once('close', () => clearTimeout(cutOff));
    response.end(`event: ${event}\nid: ${this.place}\ndata: {"seq":${this.place}}\n\n`);
    this.#leave();
  }

  #leave(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#tellRoom();
    this.#options.onGone(this);
  }

  #tellRoom(): void {
    this.#onRoom?.();
    this.#onRoom = undefined;
  }
}
