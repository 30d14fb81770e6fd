/**
 * The log thread's work: numbers the events of all intake rings, makes them durable frame by frame (one
 * flush each), passes them on to the appliers and only then settles them for the main thread.
 *
 * The story of one frame (`commitPending`), and of a crash or a thread's death at each step:
 *  1. number: slots are numbered and get their arrival times in the intake rings, keys go into the dedupe
 *     window. Nobody has seen any of it: a successor takes the keys back and numbers again, perhaps
 *     otherwise, since live events that came meanwhile go first.
 *  2. flush: the frame is written and flushed. A crash before the flush returns: nobody got an answer; the tail
 *     is torn, or whole and then simply there. The thread dies: its successor opens a fresh segment
 *     that says how far this one counts, so the frame is void and its events are written again.
 *  3. commit: the slots are copied behind the head of the commit ring, unseen. Then the progress record
 *     flips: from here on the frame is committed, for a successor too.
 *  4. settle: receipts in it go into their window, before the tails move: a successor puts in those of
 *     all slots between the tails published and committed. Then all tails are published and their
 *     producers' bells rung. A repetition of an event in this frame is settled with it; one of an event
 *     committed before needs no flush, for that one is durable.
 *  5. hand on: the head is published and the appliers' bell rung. A successor repeats 4 and 5 harmlessly.
 *
 * When a write or flush fails, what it holds stays in the intake rings and is written to a fresh segment
 * as in step 2, again and again with growing pauses, until it is durable or the service stops.
 * (Over 300 lines, because these steps and what undoes each of them have to be read together.)
 */
import assert from 'node:assert/strict';
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import { createThreadCounters, LogCounters } from '../metrics/thread-counters.ts';
import { INTAKE_DOORBELL, INTAKE_STOP, type IntakeRings } from '../ring/intake-ring.ts';
import { type LogProgress, OWN_DOUBLES } from '../ring/progress.ts';
import { sleepUnlessStopped, sleepUntilRung } from '../ring/sleep.ts';
import {
  FLAGS_RESERVATION,
  SLOT_BYTES,
  SLOT_HASH,
  SLOT_META,
  SLOT_WORDS,
  SlotViews,
} from '../ring/slot.ts';
import type { CommitPublisher } from './commit-publisher.ts';
import type { EventLog } from './event-log.ts';
import type { FileSystem } from './file-system.ts';
import { FolderGuard } from './folder-guard.ts';
import { FRAME_HEADER_BYTES, frameBytes, type SegmentEnd } from './format.ts';
import { FrameContent } from './frame-content.ts';
import { LogClock } from './log-clock.ts';
import { packSegmentEnds } from './segment-ends.ts';
import { SegmentWriter } from './segment-writer.ts';

/** Pauses between tries on a failing disk: doubled each time from the first to the longest. */
export interface RetryPauses {
  readonly firstMs: number;
  readonly maxMs: number;
}

const RETRY_DEFAULT: RetryPauses = { firstMs: 50, maxMs: 2000 };

export interface SequencerOptions {
  readonly intakes: IntakeRings;
  readonly dedupe: DedupeWindow;
  readonly receipts: ReceiptWindow;
  readonly commits: CommitPublisher;
  readonly progress: LogProgress;
  readonly files: FileSystem;
  /** Folder of the segments. */
  readonly folder: string;
  readonly segmentBytesMax: number;
  /** The machine's clock, ms since the epoch; it may go back. */
  readonly nowMs: () => number;
  /** Notified when the log can't be written any more (with the reason), and when it can again. */
  readonly onStorage: (available: boolean, reason: string) => void;
  /** Whether the files that were written to are still there; tests without a folder have none. */
  readonly guard?: FolderGuard;
  /** Where this thread counts; tests that don't look there have none. */
  readonly counters?: LogCounters;
  /** Tests on a simulated disk need no pauses. */
  readonly retry?: RetryPauses;
}

/** Where the log goes on: a segment to append to, and what is known of the one before it. */
export interface LogTail {
  readonly nextSeq: number;
  readonly segment: SegmentEnd | undefined;
  readonly previous: SegmentEnd | undefined;
  /** Length of the segment's last frame; 0 = it has none, or is not appended to. */
  readonly lastFrameBytes: number;
  /** A fresh segment even though there is one: its end can't be trusted. */
  readonly fresh: boolean;
  /** The log's time so far (log-clock.ts); 0 = it has none. */
  readonly lastTimeMs: number;
}

export class Sequencer implements EventLog {
  readonly #options: SequencerOptions;
  readonly #frame: Buffer;
  readonly #frameSlots: SlotViews;
  readonly #content: FrameContent;
  readonly #retry: RetryPauses;
  readonly #guard: FolderGuard;
  readonly #clock: LogClock;
  readonly #counters: LogCounters;
  #nextSeq: number;
  /** The open segment; `undefined` while the last one failed and no fresh one could be made. */
  #writer: SegmentWriter | undefined;
  /** How far the log counts, whatever becomes of the writer. */
  #segment: SegmentEnd | undefined;
  #previous: SegmentEnd | undefined;
  #failing = false;
  /** What the progress record keeps for the log; written anew with each. */
  readonly #own = new Float64Array(OWN_DOUBLES);

  /**
   * Opens the log for appending. Throws what the file system throws: a start needs a good disk. The
   * successor of a thread that died needs none: it tries again as its predecessor would have.
   */
  constructor(options: SequencerOptions, tail: LogTail) {
    this.#options = options;
    this.#retry = options.retry ?? RETRY_DEFAULT;
    this.#guard = options.guard ?? new FolderGuard(FolderGuard.create());
    this.#clock = new LogClock(options.nowMs, tail.lastTimeMs);
    this.#counters = options.counters ?? new LogCounters(createThreadCounters(0));
    assert.ok(options.commits.capacity > options.intakes.live.capacity, 'there is room for bulk');
    this.#content = new FrameContent(options.intakes, options.dedupe);
    const { slotsMax } = this.#content;
    const frame = new ArrayBuffer(FRAME_HEADER_BYTES + slotsMax * SLOT_BYTES);
    this.#frame = Buffer.from(frame);
    this.#frameSlots = new SlotViews(frame, FRAME_HEADER_BYTES, slotsMax);
    this.#nextSeq = tail.nextSeq;
    this.#segment = tail.segment;
    this.#previous = tail.previous;
    if (tail.fresh) this.#succeed();
    else if (tail.segment === undefined) this.#openFresh();
    else {
      const { files, folder, segmentBytesMax } = options;
      this.#writer = SegmentWriter.reopen(
        files,
        folder,
        tail.segment,
        tail.lastFrameBytes,
        segmentBytesMax,
      );
    }
    this.#storeProgress();
  }

  get nextSeq(): number {
    return this.#nextSeq;
  }

  run(): boolean {
    const { intakes, commits } = this.#options;
    // The doorbell and the stop word of all rings.
    const { cursors } = intakes.live;
    for (;;) {
      // Bell, then stop, then the heads: what comes after these loads rings the bell.
      const bell = Atomics.load(cursors, INTAKE_DOORBELL);
      const stop = Atomics.load(cursors, INTAKE_STOP) === 1;
      if (this.#guard.isLost) {
        if (this.#waitUntilSaved()) continue;
        commits.close();
        return false;
      }
      if (!this.#content.isPending) {
        if (stop) break;
        if (!this.idle()) continue;
        this.#counters.beginWait();
        sleepUntilRung(cursors, INTAKE_DOORBELL, bell);
        this.#counters.endWait();
        continue;
      }
      if (!this.commitPending()) {
        commits.close();
        return false;
      }
    }
    this.#seal();
    commits.close();
    return true;
  }

  /** Preallocates, or finds out when a failing disk is back. */
  idle(): boolean {
    // When that fails, only a fresh segment turns writes on again, and without them no bell rings.
    if (this.#writer !== undefined) return this.#preallocate(this.#writer);
    this.#reopenIdle();
    return false;
  }

  commitPending(): boolean {
    const { commits } = this.#options;
    if (!this.#content.isPending) return true;
    commits.waitForRoom(this.#content.roomNeeded);
    this.#content.claim(commits.free());
    const commitTimeMs = this.#clock.now();
    const count = this.#content.number(this.#nextSeq, commitTimeMs);
    if (count > 0 && !this.#flush(count, commitTimeMs)) return false;
    this.#commit(count, commitTimeMs);
    // The reply first: a client that is alone waits for nothing else, and the appliers, once woken,
    // would take the cores from the main thread.
    this.#settle();
    if (count > 0) commits.publish();
    // Last: nobody waits for it.
    this.#content.count(this.#counters);
    return true;
  }

  /** Writes and flushes the frame of `count` events. False when asked to stop instead. */
  #flush(count: number, commitTimeMs: number): boolean {
    this.#fillFrame(count);
    return this.#makeDurable(count, commitTimeMs);
  }

  /** Copies the frame's `count` events behind the commit ring's head, and flips the progress record. */
  #commit(count: number, commitTimeMs: number): void {
    this.#content.pass(this.#options.commits, commitTimeMs);
    this.#nextSeq += count;
    this.#storeProgress();
  }

  /** Lets the producers see what became of all that was claimed. */
  #settle(): void {
    this.#content.noteReceipts(this.#options.receipts);
    this.#content.settle();
  }

  /** Copies the content to the frame, as it goes to disk. */
  #fillFrame(count: number): void {
    this.#content.copyTo(this.#frameSlots);
    const { words } = this.#frameSlots;
    for (let w = 0; w < count * SLOT_WORDS; w += SLOT_WORDS) {
      words[w + SLOT_HASH] = 0;
      words[w + SLOT_META] = words[w + SLOT_META] & ~FLAGS_RESERVATION;
    }
  }

  #makeDurable(count: number, commitTimeMs: number): boolean {
    const { firstMs, maxMs } = this.#retry;
    for (let pauseMs = firstMs; ; pauseMs = Math.min(pauseMs * 2, maxMs)) {
      if (this.#guard.isLost && !this.#waitUntilSaved()) return false;
      try {
        const writer = this.#writerFor(count);
        const startMs = performance.now();
        writer.append(this.#frame, this.#nextSeq, count, commitTimeMs);
        this.#counters.flushNs.observe((performance.now() - startMs) * 1e6);
        this.#counters.add('writtenBytes', frameBytes(count));
        // Pairs with lose(), after which nothing from the old segment may be acknowledged.
        if (this.#guard.isLost) throw new Error('files of the data folder were deleted');
        this.#segment = writer.end;
        this.#recovered();
        return true;
      } catch (error) {
        this.#failed(error);
        if (!this.#pause(pauseMs)) return false;
      }
    }
  }

  /** The segment that the next `count` events go to; rolls to a fresh one when that is due. */
  #writerFor(count: number): SegmentWriter {
    if (this.#writer?.hasRoomFor(count) === true) return this.#writer;
    this.#writer?.abandon();
    this.#writer = undefined;
    return this.#openFresh();
  }

  /** Always reports how the disk is: what the predecessor reported last may have changed. */
  #succeed(): void {
    try {
      this.#openFresh();
      this.#options.onStorage(true, '');
    } catch (error) {
      this.#failed(error);
    }
  }

  #openFresh(): SegmentWriter {
    const { files, folder, segmentBytesMax, nowMs } = this.#options;
    // A segment without events, sealed or not, has the name of the fresh one: it is replaced, not
    // followed.
    const isEmpty = this.#segment?.firstSeq === this.#nextSeq;
    const previous = isEmpty ? this.#previous : this.#segment;
    const writer = SegmentWriter.create(
      files,
      folder,
      this.#nextSeq,
      previous,
      segmentBytesMax,
      nowMs(),
    );
    this.#previous = previous;
    this.#segment = writer.end;
    this.#writer = writer;
    this.#counters.add('segments', 1);
    this.#storeProgress();
    return writer;
  }

  /** The last segment failed and nothing is waiting: finds out when the disk is back. */
  #reopenIdle(): void {
    const { firstMs, maxMs } = this.#retry;
    for (let pauseMs = firstMs; ; pauseMs = Math.min(pauseMs * 2, maxMs)) {
      try {
        this.#openFresh();
        this.#recovered();
        return;
      } catch (error) {
        this.#failed(error);
        if (!this.#pause(pauseMs)) return;
        if (this.#content.isPending) return;
      }
    }
  }

  /** False when the segment failed. */
  #preallocate(writer: SegmentWriter): boolean {
    try {
      writer.preallocate();
      return true;
    } catch (error) {
      this.#failed(error);
      return false;
    }
  }

  #seal(): void {
    try {
      this.#writerFor(0).seal(this.#nextSeq, this.#clock.now());
    } catch (error) {
      // All events are durable; the next start finds the log without a seal, as after a crash.
      this.#failed(error);
    }
  }

  #failed(error: unknown): void {
    this.#counters.add('failures', 1);
    this.#writer?.abandon();
    this.#writer = undefined;
    if (this.#failing) return;
    this.#failing = true;
    this.#options.onStorage(false, error instanceof Error ? error.message : String(error));
  }

  #recovered(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#options.onStorage(true, '');
  }

  /**
   * Files that committed events are in were deleted (folder-guard.ts has the story): goes on in a
   * fresh segment, and waits until the events before it are saved. False when asked to stop instead.
   */
  #waitUntilSaved(): boolean {
    while (this.#guard.isLost) {
      const { lost, letGo, isDenied } = this.#guard;
      if (lost !== letGo && !isDenied) {
        try {
          this.#writer?.abandon();
          this.#writer = undefined;
          this.#openFresh();
          this.#guard.letGo = lost;
          this.#recovered();
        } catch (error) {
          this.#failed(error);
        }
      }
      // A stop that comes when all has just been saved ends in order.
      if (!this.#pause(this.#retry.firstMs)) return !this.#guard.isLost;
    }
    return true;
  }

  /** Waits before the next try; false when the service is to stop instead. */
  #pause(ms: number): boolean {
    return sleepUnlessStopped(this.#options.intakes.live.cursors, ms);
  }

  #storeProgress(): void {
    if (this.#segment === undefined) return;
    this.#options.progress.store({
      nextSeq: this.#nextSeq,
      commitHead: this.#options.commits.head,
      liveTail: this.#content.liveTail,
      bulkTail: this.#content.bulkTail,
      furtherTails: this.#content.furtherTails,
      own: packSegmentEnds(
        {
          segment: this.#segment,
          previous: this.#previous,
          lastTimeMs: this.#clock.lastMs,
        },
        this.#own,
      ),
    });
  }
}
