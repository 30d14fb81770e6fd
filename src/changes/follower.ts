/**
 * One connection that follows the changes as server-sent events: what is written to it, how much of
 * that it has not taken yet, and how it ends. Main thread.
 *
 * `event: position` (at the beginning, in heartbeats) moves the client's Last-Event-ID without a
 * change: a client that saw nothing but stale events resumes behind them all the same. It has data,
 * because clients that people install keep no id of an event without (npm eventsource,
 * eventsource-client). A comment is one line with no empty line behind it: httpx-sse hands on an event
 * at each empty line.
 *
 * A client may be cut off at any byte and keeps what it was given whole. So the id moves with an event
 * that says what happened, never before: a reset is the first that a client hears of its new place.
 * Within an event the id is the last line, because some old clients keep it as soon as they read it.
 */
import type { ServerResponse } from 'node:http';

/** Whoever doesn't take the final event in this time is cut off. */
const GOODBYE_MS_MAX = 5000;
/** Heartbeats that a stuck client is given before it counts as gone. */
const STUCK_BEATS_MAX = 2;
/** What a client waits before it connects again. */
const RETRY_MS = 2000;
/** At once, so that proxies hand the headers on; what comes next goes on with the same event. */
const OPENING = `: changes\nretry: ${RETRY_MS}\n`;

export type FinalEvent = 'dropped' | 'stopping' | 'failed';

/** An event other than a change: its place, and the id that it moves the client to. */
function placeEvent(name: string, seq: number): string {
  return `event: ${name}\ndata: {"seq":${seq}}\nid: ${seq}\n\n`;
}

/**
 * All that is written to an event-stream client who can't be served now: it comes back after
 * `retryMs`, where a status other than 200 would end an EventSource for good. `seq`: where the client
 * is, which doesn't change.
 */
export function turnedAway(reason: string, seq: number | undefined, retryMs: number): string {
  return `retry: ${retryMs}\nevent: ${reason}\ndata: {"seq":${seq ?? null}}\n\n`;
}

export interface FollowerOptions {
  readonly response: ServerResponse;
  /** CHANGES_BUFFER: bytes that it may have outstanding. */
  readonly bufferBytesMax: number;
  /** Called once, when it ends or goes. */
  readonly onGone: (follower: Follower) => void;
}

export class Follower {
  /** Seq of the last event that was passed on this connection, sent or not; 0 until it has begun. */
  place = 0;
  readonly #options: FollowerOptions;
  readonly #gone = new AbortController();
  #isOpen = false;
  #hasBegun = false;
  #isEnded = false;
  #wasDropped = false;
  #isQuiet = false;
  #stuckBeats = 0;
  #onRoom: (() => void) | undefined;

  /** The headers are written. */
  constructor(options: FollowerOptions) {
    this.#options = options;
    const { response } = options;
    response.on('drain', () => {
      this.#stuckBeats = 0;
      this.#notifyRoom();
    });
    response.once('close', () => this.#leave());
  }

  /** Keeps the client until it can begin; heartbeats are comments meanwhile. */
  wait(): void {
    this.write(this.#opened(': waiting until the log has come that far\n'), 0);
  }

  /** What follows comes after `place`, which the client asked for or does not care about. */
  begin(place: number): void {
    this.write(this.#opened(placeEvent('position', place)), place);
    this.#hasBegun = true;
  }

  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** Aborted when it ends or goes. */
  get gone(): AbortSignal {
    return this.#gone.signal;
  }

  /** Whether it was ended because it read too slowly. */
  get wasDropped(): boolean {
    return this.#wasDropped;
  }

  /** Bytes that it was given and has not taken. */
  get outstandingBytes(): number {
    return this.#options.response.writableLength;
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
   * written leaves for the kernel at the end of the turn, so this slice itself doesn't count yet.
   */
  push(events: Buffer | string, place: number): void {
    const { response, bufferBytesMax } = this.#options;
    if (response.writableLength > bufferBytesMax) this.end('dropped');
    else this.write(events, place);
  }

  /** The log does not reach back: what follows comes after `seq`. */
  reset(seq: number): void {
    this.write(this.#opened(placeEvent('reset', seq)), seq);
    this.#hasBegun = true;
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

  /** Sends something if nothing was sent since the last beat; drops a client that is stuck for long. */
  beat(): void {
    if (!this.hasRoom) {
      if (++this.#stuckBeats >= STUCK_BEATS_MAX) this.end('dropped');
      return;
    }
    if (this.#isQuiet) {
      const sign = this.#hasBegun ? placeEvent('position', this.place) : ': heartbeat\n';
      this.#options.response.write(sign);
    }
    this.#isQuiet = true;
  }

  /** Ends it with a final event; the client resumes at its last id. */
  end(event: FinalEvent): void {
    if (this.#isEnded) return;
    this.#wasDropped = event === 'dropped';
    const { response } = this.#options;
    const cutOff = setTimeout(() => response.destroy(), GOODBYE_MS_MAX);
    response.once('close', () => clearTimeout(cutOff));
    response.end(
      this.#hasBegun ? placeEvent(event, this.place) : turnedAway(event, undefined, RETRY_MS),
    );
    this.#leave();
  }

  #opened(text: string): string {
    if (this.#isOpen) return text;
    this.#isOpen = true;
    return OPENING + text;
  }

  #leave(): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#gone.abort();
    this.#notifyRoom();
    this.#options.onGone(this);
  }

  #notifyRoom(): void {
    this.#onRoom?.();
    this.#onRoom = undefined;
  }
}
