/**
 * All who follow the changes: one reader for those who are caught up, and one each for those who are
 * not. Main thread; does nothing at all while nobody follows.
 *
 *   catching up   place 17 ──▶ own reader, paced by the client ──▶ ┐
 *   catching up   place 90 ──▶ own reader ───────────────────────▶ ├─ joins at the hub's place
 *   caught up     ═══════════ the hub's place ═════════════════════╧══▶ watermark
 *
 * No gap and no repeat: a catching-up follower reads up to the hub's place and no further, and joins
 * in the same turn in which its own place is the hub's; without others, the hub begins at its place.
 * Only a follower that asked for events which the hub has yet to pass is ahead of it: it is given
 * nothing until the hub has come by, and catches up from there if the hub's slice went past its place.
 *
 * Each slice is text once and bytes once, whoever many take it. A write to many takes a while, in
 * which more events gather: the hub rests twice as long as it took, so that it takes at most a third
 * of the thread from those who write and read. Those who catch up share one slice in a turn, and rest likewise
 * (catch-up-turns.ts), however many they are.
 */
import type { AppliedWaiter, AppliedWatermark } from '../apply/applied-watermark.ts';
import { within } from '../deadline.ts';
import { CatchUpTurns, restAfter } from './catch-up-turns.ts';
import type { Change } from './change.ts';
import { changeJson } from './change-json.ts';
import { type ChangeHistory, ChangeReader, type ReadStep } from './change-reader.ts';
import type { FinalEvent, Follower } from './follower.ts';
import { RecentSlices, sliceEnd } from './recent-slices.ts';

/** How long a reader of files holds on to its chunk for a client that has no room. */
const ROOM_MS_MAX = 50;

export interface ChangeHubOptions {
  readonly history: ChangeHistory;
  readonly watermark: Pick<AppliedWatermark, 'seq' | 'whenApplied' | 'cancel'>;
  readonly heartbeatMs: number;
  /** Called with the error of a failed read; the followers concerned are ended. */
  readonly onError: (error: unknown) => void;
}

export class ChangeHub {
  readonly #options: ChangeHubOptions;
  readonly #all = new Set<Follower>();
  readonly #live = new Set<Follower>();
  readonly #turns = new CatchUpTurns();
  readonly #slices = new RecentSlices();
  readonly #wake = () => this.#schedule(0);
  readonly #pump = () => void this.#step();
  /** Of the caught-up followers; undefined while there are none. */
  #reader: ChangeReader | undefined;
  #isScheduled = false;
  /** Wakes the hub with the next event. */
  #waiter: AppliedWaiter | undefined;
  #heartbeat: NodeJS.Timeout | undefined;
  #isClosing = false;
  #dropped = 0;

  constructor(options: ChangeHubOptions) {
    this.#options = options;
  }

  /** Followers, those on their way out not counted. */
  get size(): number {
    return this.#all.size;
  }

  /** Followers that were ended because they read too slowly. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Bytes that followers were given and have not taken; what they have in common counts for each. */
  get outstandingBytes(): number {
    let bytes = 0;
    for (const follower of this.#all) bytes += follower.outstandingBytes;
    return bytes;
  }

  /** The least place of all followers; the present one if there are none. */
  get leastPlace(): number {
    let least = this.#options.watermark.seq;
    for (const { place } of this.#all) least = Math.min(least, place);
    return least;
  }

  /** Where a follower begins that wants no history. */
  get place(): number {
    return this.#reader?.place ?? this.#options.watermark.seq;
  }

  /** Serves `follower` from its place on, until it ends. */
  add(follower: Follower): void {
    this.hold(follower);
    void this.#catchUp(follower);
  }

  /** Gives `follower` heartbeats, and an end, but no events until it is added. */
  hold(follower: Follower): void {
    const { heartbeatMs } = this.#options;
    this.#all.add(follower);
    this.#heartbeat ??= setInterval(() => {
      for (const each of this.#all) each.beat();
    }, heartbeatMs);
  }

  /** The follower ended or went. */
  remove(follower: Follower): void {
    if (this.#all.delete(follower) && follower.wasDropped) this.#dropped++;
    this.#live.delete(follower);
    if (this.#live.size === 0) this.#closeReader();
    if (this.#all.size > 0) return;
    clearInterval(this.#heartbeat);
    this.#heartbeat = undefined;
    this.#slices.clear();
  }

  /** Ends everyone: who is caught up after all that is applied, the others where they are. */
  close(): void {
    this.#isClosing = true;
    for (const follower of [...this.#all]) {
      if (!this.#live.has(follower)) follower.end('stopping');
    }
    this.#wake();
  }

  async #catchUp(follower: Follower): Promise<void> {
    const reader = new ChangeReader(this.#options.history, follower.place);
    try {
      while (!follower.isEnded) {
        const goal = this.#reader?.place ?? this.#options.watermark.seq;
        if (reader.place >= goal) {
          this.#join(follower);
          return;
        }
        await this.#turns.next();
        if (follower.isEnded) return;
        const step = this.#passOn(reader, follower, goal);
        if (step === 'load' && (await reader.load()) === 'gone') {
          if (!follower.isEnded) follower.reset(this.place);
          reader.place = follower.place;
        }
        await within(ROOM_MS_MAX, follower.whenRoom());
        if (!follower.hasRoom) reader.rest();
        await follower.whenRoom();
      }
    } catch (error) {
      this.#options.onError(error);
      follower.end('failed');
    } finally {
      reader.close();
    }
  }

  /** Passes the next slice on to one who catches up. */
  #passOn(reader: ChangeReader, follower: Follower, goal: number): ReadStep {
    const before = reader.place;
    let slice = this.#slices.get(before, goal);
    if (slice !== undefined) reader.place = slice.place;
    else {
      let text = '';
      const step = reader.read(Math.min(goal, sliceEnd(before)), (change) => {
        text += message(change);
        return true;
      });
      if (step !== 'moved') return step;
      slice = { events: Buffer.from(text), place: reader.place };
      this.#slices.put(before, slice);
    }
    follower.write(slice.events, slice.place);
    return 'moved';
  }

  #join(follower: Follower): void {
    this.#live.add(follower);
    if (this.#reader !== undefined) return;
    this.#reader = new ChangeReader(this.#options.history, follower.place);
    this.#wake();
  }

  #closeReader(): void {
    this.#reader?.close();
    this.#reader = undefined;
    if (this.#waiter !== undefined) this.#options.watermark.cancel(this.#waiter);
    this.#waiter = undefined;
  }

  #schedule(afterMs: number): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    if (afterMs < 1) setImmediate(this.#pump);
    else setTimeout(this.#pump, afterMs);
  }

  /** Passes one slice on to all who are caught up. */
  async #step(): Promise<void> {
    const reader = this.#reader;
    if (reader === undefined) {
      this.#isScheduled = false;
      return;
    }
    let restMs = 0;
    try {
      const until = this.#options.watermark.seq;
      if (reader.place >= until) {
        this.#isScheduled = false;
        if (this.#isClosing) this.#endAll('stopping');
        else this.#waiter = this.#options.watermark.whenApplied(reader.place + 1, this.#wake);
        return;
      }
      const before = reader.place;
      let text = '';
      const step = reader.read(until, (change) => {
        text += message(change);
        return true;
      });
      if (step === 'moved') restMs = this.#fanOut(text, before, reader.place);
      // Nothing else moves the hub meanwhile: it stays scheduled.
      if (step === 'load' && (await reader.load()) === 'gone' && this.#reader === reader) {
        reader.place = this.#options.watermark.seq;
        for (const follower of this.#live) follower.reset(reader.place);
      }
    } catch (error) {
      this.#options.onError(error);
      if (this.#reader === reader) this.#endAll('failed');
    }
    this.#isScheduled = false;
    this.#schedule(restMs);
  }

  /** Returns how long to rest. */
  #fanOut(text: string, before: number, place: number): number {
    const startMs = performance.now();
    const events = Buffer.from(text);
    for (const follower of this.#live) {
      if (follower.place > before) this.#passBy(follower, place);
      else follower.push(events, place);
    }
    const tookMs = performance.now() - startMs;
    return this.#live.size > 1 ? restAfter(tookMs) : 0;
  }

  /** For a follower that began ahead of the hub. */
  #passBy(follower: Follower, place: number): void {
    if (follower.place >= place) return;
    this.#live.delete(follower);
    void this.#catchUp(follower);
  }

  #endAll(event: FinalEvent): void {
    for (const follower of [...this.#live]) follower.end(event);
  }
}

function message(change: Change): string {
  return `data: ${changeJson(change)}\nid: ${change.seq}\n\n`;
}
