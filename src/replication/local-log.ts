/**
 * An instance's own copy of the events, in the files of the file log: one frame for each message that
 * brought some, with the message's position. Each is flushed before anything of it is passed on. Log thread.
 *
 * When a write or flush fails, the frame is written to a fresh segment, again and again with growing
 * pauses, as the sequencer does.
 */
import type { FileSystem } from '../log/file-system.ts';
import type { FolderGuard } from '../log/folder-guard.ts';
import { FRAME_HEADER_BYTES, frameBytes, type SegmentEnd } from '../log/format.ts';
import type { SegmentEnds } from '../log/segment-ends.ts';
import { SegmentWriter } from '../log/segment-writer.ts';
import type { LogTail, RetryPauses } from '../log/sequencer.ts';
import type { LogCounters } from '../metrics/thread-counters.ts';
import { SLOT_BYTES, SlotViews } from '../ring/slot.ts';
import { MESSAGE_SLOTS_MAX } from './message.ts';

export interface LocalLogOptions {
  readonly files: FileSystem;
  /** Folder of the segments. */
  readonly folder: string;
  readonly segmentBytesMax: number;
  readonly nowMs: () => number;
  readonly counters: LogCounters;
  readonly retry: RetryPauses;
  /** Waits; false when asked to stop instead. */
  readonly pause: (ms: number) => boolean;
  /** Whether the files that were written to are still there. */
  readonly guard: FolderGuard;
  /** Called when another segment is written to. */
  readonly onSegment: () => void;
  /** Notified when the log can't be written (with the reason), and when it can again. */
  readonly onDisk: (available: boolean, reason: string) => void;
}

/** A frame as it is appended; its slots stand in `LocalLog.slots`. */
export interface LocalFrame {
  readonly firstSeq: number;
  readonly count: number;
  readonly timeMs: number;
  readonly position: number;
}

export class LocalLog {
  /** The slots of the next frame: MESSAGE_SLOTS_MAX. */
  readonly slots: SlotViews;
  readonly #options: LocalLogOptions;
  readonly #frame: Buffer;
  #writer: SegmentWriter | undefined;
  #segment: SegmentEnd | undefined;
  #previous: SegmentEnd | undefined;
  #failing = false;

  /** Opens the log behind `tail`. Throws what the file system throws, unless `tail.fresh`. */
  constructor(options: LocalLogOptions, tail: LogTail) {
    this.#options = options;
    const memory = new ArrayBuffer(FRAME_HEADER_BYTES + MESSAGE_SLOTS_MAX * SLOT_BYTES);
    this.#frame = Buffer.from(memory);
    this.slots = new SlotViews(memory, FRAME_HEADER_BYTES, MESSAGE_SLOTS_MAX);
    this.#segment = tail.segment;
    this.#previous = tail.previous;
    const { files, folder, segmentBytesMax } = options;
    if (tail.fresh) {
      try {
        this.#openFresh(tail.nextSeq);
      } catch (error) {
        this.#failed(error);
      }
    } else if (tail.segment === undefined) this.#openFresh(tail.nextSeq);
    else {
      const { segment, lastFrameBytes } = tail;
      this.#writer = SegmentWriter.reopen(files, folder, segment, lastFrameBytes, segmentBytesMax);
    }
  }

  /** Where it ends; `undefined` while no segment could be opened yet. */
  get ends(): Omit<SegmentEnds, 'lastTimeMs'> | undefined {
    return this.#segment && { segment: this.#segment, previous: this.#previous };
  }

  /** The bytes of the frame's first `count` slots. */
  slotBytes(count: number): Uint8Array {
    return this.#frame.subarray(FRAME_HEADER_BYTES, frameBytes(count));
  }

  /** Appends the frame and flushes it, however often that takes. False when asked to stop instead. */
  append({ firstSeq, count, timeMs, position }: LocalFrame): boolean {
    const { retry, counters, pause, guard } = this.#options;
    for (let ms = retry.firstMs; ; ms = Math.min(ms * 2, retry.maxMs)) {
      if (guard.isLost && !this.waitUntilSaved(firstSeq)) return false;
      try {
        const writer = this.#writerFor(firstSeq, count);
        const startMs = performance.now();
        writer.append(this.#frame, firstSeq, count, timeMs, position);
        counters.flushNs.observe((performance.now() - startMs) * 1e6);
        counters.add('writtenBytes', frameBytes(count));
        // Pairs with lose(), after which nothing from the old segment may be acknowledged.
        if (guard.isLost) throw new Error('files of the data folder were deleted');
        this.#segment = writer.end;
        this.#recovered();
        return true;
      } catch (error) {
        this.#failed(error);
        if (!pause(ms)) return false;
      }
    }
  }

  /**
   * Files that committed events are in were deleted (folder-guard.ts has the story): goes on in a fresh
   * segment, and waits until the events before it are saved. False when asked to stop instead.
   */
  waitUntilSaved(nextSeq: number): boolean {
    const { guard, pause, retry } = this.#options;
    while (guard.isLost) {
      const { lost, letGo, isDenied } = guard;
      if (lost !== letGo && !isDenied) {
        try {
          this.#writer?.abandon();
          this.#writer = undefined;
          this.#openFresh(nextSeq);
          guard.letGo = lost;
          this.#recovered();
        } catch (error) {
          this.#failed(error);
        }
      }
      // A stop that comes when all has just been saved ends in order.
      if (!pause(retry.firstMs)) return !guard.isLost;
    }
    return true;
  }

  /** Preallocates; for idle moments. */
  idle(): void {
    try {
      this.#writer?.preallocate();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Ends the log cleanly. */
  seal(nextSeq: number, timeMs: number): void {
    try {
      this.#writerFor(nextSeq, 0).seal(nextSeq, timeMs);
    } catch (error) {
      // All events are durable; the next start finds the log without a seal, as after a crash.
      this.#failed(error);
    }
  }

  #writerFor(nextSeq: number, count: number): SegmentWriter {
    if (this.#writer?.hasRoomFor(count) === true) return this.#writer;
    this.#writer?.abandon();
    this.#writer = undefined;
    return this.#openFresh(nextSeq);
  }

  #openFresh(nextSeq: number): SegmentWriter {
    const { files, folder, segmentBytesMax, nowMs, counters } = this.#options;
    // A segment without events has the name of the fresh one: it is replaced, not followed.
    const isEmpty = this.#segment?.firstSeq === nextSeq;
    const previous = isEmpty ? this.#previous : this.#segment;
    const now = nowMs();
    const writer = SegmentWriter.create(files, folder, nextSeq, previous, segmentBytesMax, now);
    this.#previous = previous;
    this.#segment = writer.end;
    this.#writer = writer;
    counters.add('segments', 1);
    this.#options.onSegment();
    return writer;
  }

  #failed(error: unknown): void {
    const { counters, onDisk } = this.#options;
    counters.add('failures', 1);
    this.#writer?.abandon();
    this.#writer = undefined;
    if (this.#failing) return;
    this.#failing = true;
    onDisk(false, error instanceof Error ? error.message : String(error));
  }

  #recovered(): void {
    if (!this.#failing) return;
    this.#failing = false;
    this.#options.onDisk(true, '');
  }
}
