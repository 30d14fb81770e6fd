/**
 * The change feed: who changed, in the order of seq, to those who follow and those who poll. Main
 * thread. Only applied events are passed on; the state that goes with them is read at that moment.
 *
 * A position is a seq: "everything up to it is known". Where the log does not reach back to one, or
 * has not come that far (it is of another history: another data folder), the answer is a reset: the
 * present position, from which the feed goes on. The client then exports the products once more and
 * keeps the higher version of each. In a cluster a position that the log has not come to may have been told
 * by an instance that is ahead of this one: what is behind it is waited for before it is taken for foreign.
 */
import type { ServerResponse } from 'node:http';
import type { AppliedWatermark } from '../apply/applied-watermark.ts';
import type { LogProgress } from '../ring/progress.ts';
import { SharedPlaces } from '../threads/shared-places.ts';
import type { Change } from './change.ts';
import { ChangeHub } from './change-hub.ts';
import { type ChangeHistory, ChangeReader } from './change-reader.ts';
import { Follower } from './follower.ts';

/** Events that one page passes at the most, whether they changed something or not. */
const PAGE_EVENTS_MAX = 16_384;
/** How far an instance of a cluster may be behind another, to which a follower was connected before. */
export const AHEAD_MS = 10_000;

export interface ChangeFeedOptions {
  readonly history: ChangeHistory;
  readonly progress: LogProgress;
  readonly watermark: Pick<AppliedWatermark, 'seq' | 'whenApplied' | 'cancel'>;
  readonly limits: ChangeLimits;
  /** How many follow, on all threads that have a feed; this one's alone, unless given. */
  readonly places?: SharedPlaces | undefined;
  readonly onError: (error: unknown) => void;
  /** How long a position that the log has not come to is waited for, where other instances may have told it; 0 = not. */
  readonly aheadMs?: number;
}

export interface ChangeLimits {
  readonly changesHeartbeatMs: number;
  readonly changesFollowersMax: number;
  readonly changesBufferBytesMax: number;
}

export interface PageEnd {
  /** Where the next page begins. */
  readonly nextSince: number;
  /** The position asked for is not there any more, or not yet. */
  readonly isReset: boolean;
}

export class ChangeFeed {
  readonly #options: ChangeFeedOptions;
  readonly #hub: ChangeHub;
  /** Connections, those included that have yet to take their final event. */
  readonly #places: SharedPlaces;
  /** Those who came before the log was replayed, and what they asked for; `undefined` from then on. */
  #held: Map<Follower, number | undefined> | undefined = new Map();
  /** The end of each wait for a position that is ahead. */
  readonly #waits = new Set<() => void>();

  constructor(options: ChangeFeedOptions) {
    this.#options = options;
    const { history, watermark, limits, onError } = options;
    this.#places = options.places ?? SharedPlaces.alone(options.limits.changesFollowersMax);
    const { changesHeartbeatMs: heartbeatMs } = limits;
    this.#hub = new ChangeHub({ history, watermark, heartbeatMs, onError });
  }

  get followers(): number {
    return this.#hub.size;
  }

  /** What is counted of them: change-metrics.ts. */
  get hub(): Pick<ChangeHub, 'dropped' | 'outstandingBytes' | 'leastPlace'> {
    return this.#hub;
  }

  /** Takes a place for one more to follow, which `follow` or `leave` must be called for; false if none is left. */
  enter(): boolean {
    return this.#places.take();
  }

  /** Gives a place back that is not followed on. */
  leave(): void {
    this.#places.give(1);
  }

  /**
   * On a place that was taken: follows from behind `since`, or from now on, until either side ends it. Before `open` the stream
   * waits. The headers of `response` are written.
   */
  follow(response: ServerResponse, since: number | undefined): void {
    response.once('close', () => this.leave());
    // Quiet for as long as nothing changes; heartbeats find out who is gone.
    response.setTimeout(0);
    const { changesBufferBytesMax: bufferBytesMax } = this.#options.limits;
    const onGone = (gone: Follower) => {
      this.#held?.delete(gone);
      this.#hub.remove(gone);
    };
    const follower = new Follower({ response, bufferBytesMax, onGone });
    if (this.#held === undefined) {
      this.#begin(follower, since);
      return;
    }
    this.#held.set(follower, since);
    this.#hub.hold(follower);
    follower.wait();
  }

  /**
   * The log is replayed, up to `replayedSeq`: whoever waits begins there, though the appliers may be on
   * their way. Nothing after it is missed.
   */
  open(replayedSeq: number): void {
    const held = this.#held;
    this.#held = undefined;
    for (const [follower, since] of held ?? []) this.#begin(follower, since ?? replayedSeq);
  }

  /** Ends all that wait for the log, for the replay or a position ahead; call it when that is not to be waited for. */
  closeHeld(): void {
    for (const follower of [...(this.#held?.keys() ?? [])]) follower.end('stopping');
    for (const end of this.#waits) end();
  }

  #begin(follower: Follower, since: number | undefined): void {
    const { place } = this.#hub;
    if (since === undefined) follower.begin(place);
    else if (this.#isReached(since)) follower.begin(since);
    else if (this.#aheadMs > 0) {
      void this.#beginLater(follower, since);
      return;
    } else follower.reset(place);
    this.#hub.add(follower);
  }

  /** For who is ahead of this instance. */
  async #beginLater(follower: Follower, since: number): Promise<void> {
    this.#hub.hold(follower);
    follower.wait();
    const goesOn = await this.#whenReached(since, follower.gone);
    if (follower.isEnded) return;
    if (!goesOn) {
      follower.end('stopping');
      return;
    }
    if (this.#isReached(since)) follower.begin(since);
    else follower.reset(this.#hub.place);
    this.#hub.add(follower);
  }

  /**
   * Resolves to true when the history has come as far as `since`, or it was waited for long enough; to false when
   * `gone` is aborted, or the feed ends.
   */
  async #whenReached(since: number, gone: AbortSignal): Promise<boolean> {
    const { watermark } = this.#options;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const goOn = () => resolve(true);
    const end = () => resolve(false);
    const waiter = watermark.whenApplied(since, goOn);
    const timer = setTimeout(goOn, this.#aheadMs).unref();
    this.#waits.add(end);
    gone.addEventListener('abort', end);
    if (gone.aborted) end();
    const goesOn = await promise;
    clearTimeout(timer);
    gone.removeEventListener('abort', end);
    this.#waits.delete(end);
    if (waiter !== undefined) watermark.cancel(waiter);
    return goesOn;
  }

  get #aheadMs(): number {
    return this.#options.aheadMs ?? 0;
  }

  /**
   * Hands up to `limit` changes behind `since` to `onChange`, in the order of seq. Each is overwritten
   * by the next one: copy what you keep. `undefined`: the client was gone (`gone` aborted), or the feed ended, before the
   * log had come that far. Rejects with the error of the file system.
   */
  async page(
    since: number | undefined,
    limit: number,
    onChange: (change: Change) => void,
    gone: AbortSignal,
  ): Promise<PageEnd | undefined> {
    const { history, watermark } = this.#options;
    if (since !== undefined && this.#aheadMs > 0 && !this.#isReached(since)) {
      if (!(await this.#whenReached(since, gone))) return undefined;
    }
    const until = watermark.seq;
    if (since === undefined) return { nextSince: until, isReset: false };
    if (!this.#isReached(since)) return { nextSince: until, isReset: true };
    const reader = new ChangeReader(history, since);
    let count = 0;
    const take = (change: Change) => {
      onChange(change);
      return ++count < limit;
    };
    const end = Math.min(until, since + PAGE_EVENTS_MAX);
    try {
      while (reader.place < end && count < limit) {
        const step = reader.read(end, take);
        if (step === 'load') {
          // What was passed on before the log lost the rest is a page of its own.
          if ((await reader.load()) === 'gone') {
            return count > 0
              ? { nextSince: reader.place, isReset: false }
              : { nextSince: until, isReset: true };
          }
        } else {
          await new Promise(setImmediate);
        }
      }
      return { nextSince: reader.place, isReset: false };
    } finally {
      reader.close();
    }
  }

  /** Ends every stream, after what is applied; call it when nothing more will be. */
  close(): void {
    this.closeHeld();
    this.#hub.close();
  }

  /** Whether the history has come as far as `seq`. */
  #isReached(seq: number): boolean {
    return seq < this.#options.progress.loadNextSeq();
  }
}
