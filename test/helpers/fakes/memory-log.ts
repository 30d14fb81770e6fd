/**
 * A log in shared memory, the second one: a stream that several instances could write to. It gives events
 * their order, and delivers those of another instance (`foreign`) between this one's. Tests only.
 *
 * What it "stores" is in MemoryStream; a process that is started again on the same one finds all of it.
 * A batch counts when the progress record has flipped: what the stream has beyond is cut by a successor.
 */
import type { DedupeWindow } from '../../../src/dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../../../src/dedupe/receipt-window.ts';
import type { CommitPublisher } from '../../../src/log/commit-publisher.ts';
import type {
  EventLog,
  HistoryCursor,
  KeptLog,
  LogHistory,
  Released,
  ReleaseRule,
} from '../../../src/log/event-log.ts';
import { FrameContent } from '../../../src/log/frame-content.ts';
import { LogClock } from '../../../src/log/log-clock.ts';
import type { LogIdentity } from '../../../src/log/log-identity.ts';
import {
  INTAKE_DOORBELL,
  INTAKE_HEAD,
  INTAKE_STOP,
  INTAKE_TAIL,
  IntakeRing,
  type IntakeRings,
  publishTail,
} from '../../../src/ring/intake-ring.ts';
import { type LogProgress, OWN_DOUBLES, type Progress } from '../../../src/ring/progress.ts';
import {
  copySlots,
  FLAGS_RESERVATION,
  isKeyed,
  metaIdBytes,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_FINGERPRINT,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../../../src/ring/slot.ts';
import { hashId } from '../../../src/store/id-hash.ts';
import type { HashKey } from '../../../src/threads/shared-memory.ts';

const NO_WRAP = 0x3fffffff;
const FOREIGN_SLOTS = 64;
/** Events that are removed together. */
const PIECE_EVENTS = 16;
const COUNT = 0;
const FIRST = 1;

/** The memory of a stream; survives structured cloning. */
export interface StreamMemory {
  readonly counts: SharedArrayBuffer;
  readonly times: SharedArrayBuffer;
  readonly slots: SharedArrayBuffer;
  readonly foreign: SharedArrayBuffer;
}

export class MemoryStream {
  /** Events of another instance, on their way into the order. */
  readonly foreign: IntakeRing;
  readonly times: Float64Array;
  readonly slots: SlotViews;
  readonly #counts: Int32Array;

  constructor(memory: StreamMemory) {
    this.#counts = new Int32Array(memory.counts);
    this.times = new Float64Array(memory.times);
    this.slots = new SlotViews(memory.slots, 0, this.times.length);
    this.foreign = new IntakeRing(memory.foreign);
  }

  static create(capacity: number): StreamMemory {
    return {
      counts: new SharedArrayBuffer(8),
      times: new SharedArrayBuffer(capacity * 8),
      slots: new SharedArrayBuffer(capacity * SLOT_BYTES),
      foreign: IntakeRing.create(FOREIGN_SLOTS).buffer,
    };
  }

  /** Events ever put in order. */
  get count(): number {
    return Atomics.load(this.#counts, COUNT);
  }

  set count(count: number) {
    Atomics.store(this.#counts, COUNT, count);
  }

  /** Seq of the first that is still there. */
  get firstSeq(): number {
    return Atomics.load(this.#counts, FIRST) + 1;
  }

  set firstSeq(seq: number) {
    Atomics.store(this.#counts, FIRST, seq - 1);
  }

  /** A stretch of `count` slots for the events behind the last. */
  stretch(count: number): SlotViews {
    const at = this.count;
    if (at + count > this.times.length) throw new Error('the stream of the test is full');
    return new SlotViews(this.slots.words.buffer, at * SLOT_BYTES, count);
  }
}

export interface MemoryLogOptions {
  readonly stream: MemoryStream;
  readonly intakes: IntakeRings;
  readonly dedupe: DedupeWindow;
  readonly receipts: ReceiptWindow;
  readonly commits: CommitPublisher;
  readonly progress: LogProgress;
  readonly hashKey: HashKey;
  readonly nowMs: () => number;
}

export class MemoryLog implements EventLog {
  readonly #options: MemoryLogOptions;
  readonly #content: FrameContent;
  readonly #clock: LogClock;
  readonly #own = new Float64Array(OWN_DOUBLES);
  #nextSeq: number;
  #foreignTail: number;

  /** Goes on behind what the stream holds; `died` is the record of a thread that died, if one has. */
  constructor(options: MemoryLogOptions, died?: Progress) {
    const { stream, intakes, dedupe, nowMs } = options;
    this.#options = options;
    this.#content = new FrameContent(intakes, dedupe);
    this.#nextSeq = died?.nextSeq ?? stream.count + 1;
    this.#foreignTail = died?.own[0] ?? Atomics.load(stream.foreign.cursors, INTAKE_TAIL);
    stream.count = this.#nextSeq - 1;
    publishTail(stream.foreign, this.#foreignTail);
    this.#clock = new LogClock(nowMs, stream.times[stream.count - 1] ?? 0);
    this.#storeProgress();
  }

  get nextSeq(): number {
    return this.#nextSeq;
  }

  commitPending(): boolean {
    const { commits, stream } = this.#options;
    const foreign = this.#foreignPending;
    if (!this.#content.isPending && foreign === 0) return true;
    commits.waitForRoom(foreign + (this.#content.isPending ? this.#content.roomNeeded : 0));
    this.#content.claim(commits.free() - foreign);
    const timeMs = this.#clock.now();
    this.#numberForeign(foreign);
    const own = this.#content.number(this.#nextSeq + foreign, timeMs);
    this.#order(foreign, own, timeMs);
    const { slots, mask } = stream.foreign;
    commits.write(slots, mask, this.#foreignTail, foreign, timeMs);
    this.#content.pass(commits, timeMs);
    this.#nextSeq += foreign + own;
    this.#foreignTail = (this.#foreignTail + foreign) | 0;
    this.#storeProgress();
    this.#content.noteReceipts(this.#options.receipts);
    this.#content.settle();
    publishTail(stream.foreign, this.#foreignTail);
    if (foreign + own > 0) commits.publish();
    return true;
  }

  idle(): boolean {
    return true;
  }

  run(): boolean {
    const { cursors } = this.#options.intakes.live;
    for (;;) {
      const bell = Atomics.load(cursors, INTAKE_DOORBELL);
      const stop = Atomics.load(cursors, INTAKE_STOP) === 1;
      if (this.#content.isPending || this.#foreignPending > 0) this.commitPending();
      else if (stop) break;
      else Atomics.wait(cursors, INTAKE_DOORBELL, bell);
    }
    this.#options.commits.close();
    return true;
  }

  get #foreignPending(): number {
    const { cursors } = this.#options.stream.foreign;
    return (Atomics.load(cursors, INTAKE_HEAD) - this.#foreignTail) | 0;
  }

  /** Foreign events have their place in the order before this instance's. */
  #numberForeign(count: number): void {
    const { stream, dedupe, hashKey } = this.#options;
    const { words, doubles } = stream.foreign.slots;
    for (let i = 0; i < count; i++) {
      const index = (this.#foreignTail + i) & stream.foreign.mask;
      const w = index * SLOT_WORDS;
      const meta = words[w + SLOT_META] & ~FLAGS_RESERVATION;
      words[w + SLOT_META] = meta;
      words[w + SLOT_HASH] = hashId(hashKey, words, w + SLOT_ID, metaIdBytes(meta));
      doubles[index * SLOT_DOUBLES + SLOT_SEQ] = this.#nextSeq + i;
      if (isKeyed(words, index)) dedupe.add(words, w + SLOT_FINGERPRINT, this.#nextSeq + i);
    }
  }

  /** The stream takes the batch. */
  #order(foreign: number, own: number, timeMs: number): void {
    const { stream } = this.#options;
    const { slots, mask } = stream.foreign;
    const at = stream.count;
    copySlots(slots, mask, this.#foreignTail, stream.stretch(foreign), NO_WRAP, 0, foreign);
    stream.times.fill(timeMs, at, at + foreign + own);
    stream.count = at + foreign;
    const { words } = stream.stretch(own);
    this.#content.copyTo(stream.stretch(own));
    for (let w = 0; w < words.length; w += SLOT_WORDS) {
      words[w + SLOT_META] = words[w + SLOT_META] & ~FLAGS_RESERVATION;
    }
    stream.count = at + foreign + own;
  }

  #storeProgress(): void {
    this.#own[0] = this.#foreignTail;
    this.#options.progress.store({
      nextSeq: this.#nextSeq,
      commitHead: this.#options.commits.head,
      liveTail: this.#content.liveTail,
      bulkTail: this.#content.bulkTail,
      furtherTails: this.#content.furtherTails,
      own: this.#own,
    });
  }
}

export class MemoryHistory implements LogHistory {
  readonly #stream: MemoryStream;

  constructor(stream: MemoryStream) {
    this.#stream = stream;
  }

  open(): HistoryCursor {
    const stream = this.#stream;
    let isLoaded = false;
    const release = () => {
      isLoaded = false;
    };
    return {
      copy(from, until, slots) {
        if (!isLoaded || from < stream.firstSeq) return 0;
        const count = Math.min(until - from + 1, slots.bytes.length / SLOT_BYTES);
        copySlots(stream.slots, NO_WRAP, from - 1, slots, NO_WRAP, 0, count);
        return count;
      },
      async load(from) {
        isLoaded = from >= stream.firstSeq;
        return isLoaded ? 'loaded' : 'gone';
      },
      release,
      close: release,
    };
  }
}

export class MemoryKept implements KeptLog {
  readonly #stream: MemoryStream;

  constructor(stream: MemoryStream) {
    this.#stream = stream;
  }

  identityAt(): LogIdentity {
    return { firstSeq: 1, nonce: '00'.repeat(16) };
  }

  release(before: number, { retention, holds, nowMs, goOn }: ReleaseRule): Released {
    const stream = this.#stream;
    for (let removed = 0; ; removed++) {
      const next = stream.firstSeq + PIECE_EVENTS;
      const bytesBehind = (stream.count - next + 1) * SLOT_BYTES;
      const isKept =
        'bytes' in retention
          ? bytesBehind < retention.bytes
          : (stream.times[next - 1] ?? 0) > nowMs - retention.ageMs;
      if (next > before || isKept) return { segments: removed };
      const bytesKept = bytesBehind + PIECE_EVENTS * SLOT_BYTES;
      if (holds?.needs(next, () => bytesKept) === true) return { segments: removed };
      stream.firstSeq = next;
      if (!goOn()) return { segments: removed + 1 };
    }
  }
}
