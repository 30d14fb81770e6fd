/**
 * The log that many instances share: what is pending goes to the stream as frames of unnumbered events, and
 * what the stream holds, of this instance and of others, is numbered here, in its order. Log thread.
 *
 *    intake rings ── propose ──▶ stream ── consume ──▶ local log ──▶ commit ring
 *       tail … proposed … head     │ one order for all      flushed      appliers
 *
 * The story of an own frame, and of what may go wrong at each step (the numbers are SCALE.md's):
 *  1. propose: slots behind `proposed` are copied into a message, numbered n, and sent. Nobody waits for an
 *     answer of the stream. Lost, stored twice, stored and the answer lost (1–3): it is sent again until it
 *     comes back; every instance takes frame n of a writer once and only behind n − 1.
 *  2. It comes back, among those of others: it was stored by the quorum. Its slots are numbered, repetitions
 *     dropped, room looked for: by what the stream held before it, and nothing else (4, 5, 17).
 *  3. The kept ones are written to the local log and flushed. Killed before that: nobody has an answer; a
 *     restart reads the stream from where the local log ends (9).
 *  4. commit, settle, hand on: as the file log does it (sequencer.ts), own slots or not.
 * The thread dies (8): the successor goes on at the position in the progress record. It does not know what
 * was sent, so it opens as another writer which supersedes the old one. Frames of the old one that come
 * before that OPEN are still this instance's and settle its slots (it was noted before they were sent how many
 * of which ring they have); at the OPEN everything not settled is framed anew.
 * A thread that takes events in dies, or is ended because it hangs: what it had published stays in its rings, is
 * proposed, sent again and settled as if it lived, and nobody is told. Its successor takes events in only when the
 * rings are settled (WritePath.takeBack), so a proposal is never of slots that were written anew.
 *
 * What is not known is whether the stream is the same as before: the port compares (`follow`), and says
 * `forked`; then nothing is taken or sent. Whether this instance made of it what the others did: each message
 * has its writer's chain; an instance that is not with the majority takes no more writes.
 * (Over 300 lines: these steps and what undoes each of them have to be read together.)
 */
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import type { CommitPublisher } from '../log/commit-publisher.ts';
import type { EventLog } from '../log/event-log.ts';
import type { FileSystem } from '../log/file-system.ts';
import { FolderGuard } from '../log/folder-guard.ts';
import { logTimeAfter } from '../log/log-clock.ts';
import { packSegmentEnds } from '../log/segment-ends.ts';
import type { LogTail, RetryPauses } from '../log/sequencer.ts';
import { createThreadCounters, LogCounters } from '../metrics/thread-counters.ts';
import { INTAKE_DOORBELL, INTAKE_STOP, type IntakeRings } from '../ring/intake-ring.ts';
import { type LogProgress, OWN_DOUBLES, type Progress } from '../ring/progress.ts';
import { sleepUnlessStopped, sleepUntilRung } from '../ring/sleep.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import { Claims } from './claims.ts';
import { FrameNumbering, NO_WRAP } from './frame-numbering.ts';
import type { LocalEnd } from './local-end.ts';
import { LocalLog } from './local-log.ts';
import type { Message } from './message.ts';
import { OwnSlots } from './own-slots.ts';
import { OwnWriter } from './own-writer.ts';
import { OWN_CHAIN, OWN_KEPT, OWN_OUTVOTED, OWN_POSITION, OWN_WRITER } from './progress-numbers.ts';
import type { ProposedShares } from './proposed-shares.ts';
import type { ReplicaFile } from './replica-file.ts';
import { ReplicaState } from './replica-state.ts';
import type { StoreRoom } from './store-room.ts';
import type { StreamPort } from './stream-port.ts';

/** Messages between two records of what is known of the stream. */
const RECORD_EVERY = 1024;
/** And time, where there are messages: whoever joins from here needs the stream from the record on. */
const RECORD_EVERY_MS = 1000;
/** How long it sleeps when nothing rings. */
const LOOK_EVERY_MS = 1000;
/** While the stream does not come up for so long, a start goes on without it. */
const START_PATIENCE_MS = 3000;
/** So many messages behind, it is as good as there. */
const NEAR = 64;
/** How long a stop waits for frames that don't come back. */
const STOP_PATIENCE_MS = 5000;
const RETRY_DEFAULT: RetryPauses = { firstMs: 50, maxMs: 2000 };

export interface ReplicatedLogOptions {
  readonly intakes: IntakeRings;
  readonly dedupe: DedupeWindow;
  /** Keyed events that are known: the cluster's, not what the window has room for. */
  readonly dedupeEvents: number;
  readonly receipts: ReceiptWindow;
  readonly commits: CommitPublisher;
  readonly progress: LogProgress;
  readonly hashKey: HashKey;
  readonly port: StreamPort;
  /** Of the messages that are on their way; shared with who was before this thread. */
  readonly shares: ProposedShares;
  /** Follows the stream and never writes to it. */
  readonly isReader?: boolean;
  readonly files: FileSystem;
  /** Folder of the local log's segments. */
  readonly folder: string;
  readonly segmentBytesMax: number;
  readonly replica: ReplicaFile;
  /** The cluster's id: CLUSTER_BYTES. */
  readonly cluster: Buffer;
  /** Whether the files that were written to are still there; tests without a folder have none. */
  readonly guard?: FolderGuard;
  /** Room for new products; none = there always is. */
  readonly room?: StoreRoom;
  readonly nowMs: () => number;
  /** A clock that never goes back, ms; for time-outs only. */
  readonly monotonicMs?: () => number;
  /** Notified when events can't be stored any more (with the reason), and when they can again. */
  readonly onStorage: (available: boolean, reason: string) => void;
  /** Notified once, by `run`: the end of the stream was reached, or the stream can't be. */
  readonly onServing?: () => void;
  /** Notified when what this instance lacks is no longer in the stream, and another one has it. */
  readonly onOvertaken?: (reason: string) => void;
  /** Hears of messages that don't count, and why. */
  readonly onVoid?: (position: number, reason: string) => void;
  readonly counters?: LogCounters;
  readonly retry?: RetryPauses;
}

export class ReplicatedLog implements EventLog {
  readonly #options: ReplicatedLogOptions;
  readonly #monotonicMs: () => number;
  readonly #counters: LogCounters;
  readonly #state: ReplicaState;
  readonly #local: LocalLog;
  readonly #guard: FolderGuard;
  readonly #claims = new Claims();
  readonly #slots: OwnSlots;
  /** None in a reader. */
  readonly #writer: OwnWriter | undefined;
  readonly #numbering: FrameNumbering;
  readonly #own = new Float64Array(OWN_DOUBLES);
  #nextSeq: number;
  #lastTimeMs: number;
  /** Up to here the local log has what the messages brought. */
  #rebuildUntil: LocalEnd;
  /** The last message of which all is done: a successor goes on behind it. */
  #done: LocalEnd;
  #sinceRecord = 0;
  /** Position of the record on disk. */
  #kept: number;
  #recordedMs = Number.NEGATIVE_INFINITY;
  /** First seq of the segment in which the last record was stored. */
  #recordedIn = 0;
  /** Since when the stream is not up, before it serves; Infinity = it does. */
  #startedMs: number;
  /** What it has to reach before it serves. */
  #target: number | undefined;
  #diskFault = '';
  #reported: string | undefined;

  /**
   * Goes on behind `tail`, the end of the local log, which `end` says the position of; `died` is the record
   * of a thread that died, if one has. Throws what the file system throws.
   */
  constructor(options: ReplicatedLogOptions, tail: LogTail, end: LocalEnd, died?: Progress) {
    this.#options = options;
    this.#monotonicMs = options.monotonicMs ?? (() => performance.now());
    this.#counters = options.counters ?? new LogCounters(createThreadCounters(0));
    const record = options.replica.load(tail.nextSeq);
    this.#state = new ReplicaState(record);
    this.#kept = record.position;
    this.#rebuildUntil = died
      ? { position: died.own[OWN_POSITION], chain: died.own[OWN_CHAIN] }
      : end;
    this.#done = this.#rebuildUntil;
    this.#nextSeq = tail.nextSeq;
    this.#lastTimeMs = tail.lastTimeMs;
    this.#slots = new OwnSlots(options.intakes, options.shares);
    this.#numbering = new FrameNumbering(options);
    this.#guard = options.guard ?? new FolderGuard(FolderGuard.create());
    this.#local = new LocalLog(
      {
        files: options.files,
        folder: options.folder,
        segmentBytesMax: options.segmentBytesMax,
        nowMs: options.nowMs,
        counters: this.#counters,
        retry: options.retry ?? RETRY_DEFAULT,
        pause: (ms) => this.#pause(ms),
        guard: this.#guard,
        onSegment: () => this.#storeProgress(),
        onDisk: (available, reason) => {
          this.#diskFault = available ? '' : reason;
          this.#report();
        },
      },
      tail,
    );
    this.#startedMs = died === undefined ? this.#monotonicMs() : Number.POSITIVE_INFINITY;
    this.#state.isRebuilding = this.#state.position < this.#rebuildUntil.position;
    if (!this.#state.isRebuilding) this.#state.chain = this.#rebuildUntil.chain;
    if (options.isReader !== true) {
      const { cluster, nowMs } = options;
      const publish = (bytes: Uint8Array) => options.port.publish(bytes);
      const shared = { publish, slots: this.#slots, state: this.#state, cluster, nowMs };
      this.#writer = new OwnWriter(
        { ...shared, monotonicMs: this.#monotonicMs },
        died?.own[OWN_WRITER] ?? 0,
      );
    }
    options.port.follow(this.#state.position, this.#state.crc);
    this.#storeProgress();
    this.#report();
  }

  get nextSeq(): number {
    return this.#nextSeq;
  }

  /** What is known of the stream; for tests and the status. */
  get state(): ReplicaState {
    return this.#state;
  }

  /** Proposes what is pending and works until all of it is settled. */
  commitPending(): boolean {
    const { cursors } = this.#options.intakes.live;
    while (this.#slots.isUnsettled) {
      const bell = Atomics.load(cursors, INTAKE_DOORBELL);
      const worked = this.step();
      if (worked === 'stop') return false;
      if (worked === 'idle') sleepUntilRung(cursors, INTAKE_DOORBELL, bell, this.#dueInMs);
    }
    return true;
  }

  idle(): boolean {
    this.#local.idle();
    return true;
  }

  run(): boolean {
    const { intakes, commits } = this.#options;
    const { cursors } = intakes.live;
    let stopMs = 0;
    for (;;) {
      // Bell, then stop, then the rest: what comes after these loads rings the bell.
      const bell = Atomics.load(cursors, INTAKE_DOORBELL);
      const stop = Atomics.load(cursors, INTAKE_STOP) === 1;
      if (this.#guard.isLost && !this.#local.waitUntilSaved(this.#nextSeq)) {
        commits.close();
        return false;
      }
      const worked = this.step();
      if (worked === 'worked') {
        stopMs = 0;
        continue;
      }
      if (stop) {
        if (worked === 'idle' && !this.#slots.isUnsettled) break;
        stopMs ||= this.#monotonicMs();
        if (worked === 'stop' || this.#monotonicMs() - stopMs > STOP_PATIENCE_MS) {
          commits.close();
          return false;
        }
      }
      this.#local.idle();
      this.#counters.beginWait();
      sleepUntilRung(cursors, INTAKE_DOORBELL, bell, this.#dueInMs);
      this.#counters.endWait();
    }
    this.#record();
    this.#local.seal(this.#nextSeq, this.#lastTimeMs);
    commits.close();
    return true;
  }

  /** Sends what is due and takes what has come. `stop`: asked to, while the disk failed. */
  step(): 'worked' | 'idle' | 'stop' {
    const proposed = this.#propose();
    let took = 0;
    for (; took < 64; took++) {
      const delivered = this.#options.port.take();
      if (delivered === undefined) break;
      if (!this.#consume(delivered.position, delivered.bytes)) return 'stop';
    }
    // Also where nothing comes any more.
    if (this.#sinceRecord > 0 && this.#isRecordDue) this.#record();
    this.#report();
    this.#look();
    return proposed || took > 0 ? 'worked' : 'idle';
  }

  /** How long it may sleep when nothing rings. */
  get #dueInMs(): number {
    // Whatever the port finds out rings the bell; this is for what nobody says.
    return Math.min(this.#writer?.dueInMs ?? LOOK_EVERY_MS, LOOK_EVERY_MS);
  }

  #propose(): boolean {
    const { type } = this.#options.port.health();
    if (this.#state.isRebuilding || type === 'forked' || type === 'overtaken') return false;
    return this.#writer?.propose() ?? false;
  }

  /**
   * Begins to serve when it has caught up with what there was when it looked: nobody is to read a state that is
   * about to be replaced by one hours younger. While the stream can't be reached, what it has must do.
   */
  #look(): void {
    if (this.#startedMs === Number.POSITIVE_INFINITY) return;
    const { port, onServing } = this.#options;
    const { type } = port.health();
    // One that refuses what is sent to it can be read: a full one, say.
    const isUp = type === 'up' || type === 'refusing';
    const now = this.#monotonicMs();
    if (isUp) {
      this.#startedMs = now;
      this.#target ??= port.newest;
      if (this.#state.position < this.#target) return;
      if (port.newest - this.#state.position > NEAR) {
        this.#target = port.newest;
        return;
      }
    } else if (now - this.#startedMs < START_PATIENCE_MS) return;
    this.#startedMs = Number.POSITIVE_INFINITY;
    this.#report();
    onServing?.();
  }

  /** False when asked to stop while the disk failed. */
  #consume(position: number, bytes: Uint8Array): boolean {
    const verdict = this.#state.take(position, bytes);
    this.#sinceRecord++;
    if (this.#state.isRebuilding) {
      if (position === this.#rebuildUntil.position) {
        this.#state.isRebuilding = false;
        this.#state.chain = this.#rebuildUntil.chain;
        this.#writer?.corrected();
      }
      return true;
    }
    switch (verdict.type) {
      case 'void':
        this.#options.onVoid?.(position, verdict.reason);
        if (this.#writer?.isBy(verdict) === true) this.#writer.check();
        break;
      case 'open':
        this.#opened(verdict.writer, verdict.message);
        break;
      case 'mark':
        this.#claim(verdict.message);
        break;
      case 'frame':
        this.#claim(verdict.message);
        if (!this.#takeFrame(position, verdict.message, verdict.body)) return false;
        break;
    }
    if (this.#done.position !== position) {
      this.#done = { position, chain: this.#state.chain };
      this.#storeProgress();
    }
    // With each segment: an older one may be removed, and with it what lies behind the record.
    const segment = this.#local.ends?.segment.firstSeq ?? 0;
    if (this.#isRecordDue || segment !== this.#recordedIn) this.#record();
    return true;
  }

  #opened(writer: number, message: Message): void {
    this.#claims.forget((known) => this.#state.writers.has(known));
    if (this.#writer?.opened(writer, message) !== true) return;
    this.#done = { position: this.#state.position, chain: this.#state.chain };
    this.#storeProgress();
  }

  #claim(message: Message): void {
    if (this.#writer?.isBy(message) === true) return;
    this.#claims.note(message.writer, this.#state.claim(message));
  }

  #takeFrame(position: number, message: Message, body: Uint8Array): boolean {
    const { commits, room, receipts } = this.#options;
    const numbering = this.#numbering;
    const isOwn = this.#writer?.isOwn(message) ?? false;
    const count = message.live + message.bulk;
    commits.waitForRoom(count);
    numbering.load(count, body);
    if (isOwn) {
      this.#slots.returned(message);
      this.#slots.mark(numbering.slots);
    }
    const timeMs = logTimeAfter(this.#lastTimeMs, message.madeAtMs);
    const firstSeq = this.#nextSeq;
    const tight = room?.isTight(count) === true ? room : undefined;
    const kept = numbering.number(count, { firstSeq, timeMs, room: tight });
    if (isOwn) this.#slots.tell(numbering.slots);
    if (kept > 0) {
      numbering.copyKept(kept, this.#local.slots);
      if (!this.#local.append({ firstSeq, count: kept, timeMs, position })) return false;
      this.#state.note(firstSeq, kept, this.#local.slotBytes(kept));
      this.#lastTimeMs = timeMs;
      numbering.eachRun(kept, (from, slots) =>
        commits.write(numbering.slots, NO_WRAP, from, slots, timeMs),
      );
      this.#nextSeq += kept;
    }
    if (isOwn) {
      this.#slots.pass();
      this.#writer?.seen(message);
    }
    const { chain } = this.#state;
    this.#done = { position, chain };
    this.#storeProgress();
    numbering.keepReceipts(kept, receipts);
    if (isOwn) this.#slots.settle();
    if (kept > 0) commits.publish();
    this.#count(message, isOwn, kept);
    return true;
  }

  #count({ live, bulk }: Message, isOwn: boolean, kept: number): void {
    if (kept > 0) this.#counters.frameEvents.observe(kept);
    if (isOwn) this.#slots.count(this.#counters, this.#numbering.slots, live, bulk);
  }

  get #isRecordDue(): boolean {
    const ageMs = this.#monotonicMs() - this.#recordedMs;
    return this.#sinceRecord >= RECORD_EVERY || ageMs > RECORD_EVERY_MS;
  }

  #record(): void {
    // It would put what the stream said up to here together with where the local log ends, which is further on.
    if (this.#state.isRebuilding) return;
    try {
      const record = this.#state.record(this.#nextSeq);
      this.#options.replica.store(record);
      this.#kept = record.position;
      this.#storeProgress();
      this.#sinceRecord = 0;
      this.#recordedMs = this.#monotonicMs();
      this.#recordedIn = this.#local.ends?.segment.firstSeq ?? 0;
    } catch (error) {
      // The older record does as well; the local log's own flushes say whether the disk is well.
      this.#options.onVoid?.(this.#state.position, `record not stored: ${String(error)}`);
    }
  }

  /** Tells whoever takes writes in whether that makes sense. */
  #report(): void {
    // Before, nobody asks.
    if (this.#startedMs !== Number.POSITIVE_INFINITY) return;
    const reason = this.#fault();
    if (reason === this.#reported) return;
    this.#reported = reason;
    this.#options.onStorage(reason === '', reason);
    const health = this.#options.port.health();
    if (health.type === 'overtaken') this.#options.onOvertaken?.(health.reason);
  }

  #fault(): string {
    if (this.#diskFault !== '') return this.#diskFault;
    const health = this.#options.port.health();
    if (health.type !== 'up') return health.reason;
    if (this.#state.isRebuilding) return 'reading the stream from where it was left';
    if (this.#claims.isOutvoted) return 'this instance has diverged from the others of its cluster';
    if (this.#writer === undefined) return '';
    if (!this.#writer.isOpen) return 'catching up with the stream';
    return this.#writer.isStuck ? 'the stream does not store what is sent to it' : '';
  }

  /** Waits before the next try of the disk; false when the service is to stop instead. */
  #pause(ms: number): boolean {
    return sleepUnlessStopped(this.#options.intakes.live.cursors, ms);
  }

  #storeProgress(): void {
    // While the local log is being opened, what it says is for its own constructor.
    const ends = this.#local?.ends;
    if (ends === undefined) return;
    const own = packSegmentEnds({ ...ends, lastTimeMs: this.#lastTimeMs }, this.#own);
    own[OWN_POSITION] = this.#done.position;
    own[OWN_CHAIN] = this.#done.chain;
    own[OWN_KEPT] = this.#kept;
    own[OWN_WRITER] = this.#writer?.last ?? 0;
    own[OWN_OUTVOTED] = this.#claims.isOutvoted ? 1 : 0;
    this.#options.progress.store({
      nextSeq: this.#nextSeq,
      commitHead: this.#options.commits.head,
      liveTail: this.#slots.liveTail,
      bulkTail: this.#slots.bulkTail,
      furtherTails: this.#slots.furtherTails,
      own,
    });
  }
}
