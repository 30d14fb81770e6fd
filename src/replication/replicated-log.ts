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
 * before that OPEN are still this instance's and settle its slots (the message says how many of which ring);
 * at the OPEN everything not settled is framed anew.
 *
 * What is not known is whether the stream is the same as before: the port compares (`follow`), and says
 * `forked`; then nothing is taken or sent. Whether this instance made of it what the others did: each message
 * has its writer's chain; an instance that is not with the majority takes no more writes.
 * (Over 300 lines: these steps and what undoes each of them have to be read together.)
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { isReceipt } from '../dedupe/batch-receipt.ts';
import { type DedupeWindow, KEY_CONFLICT, KEY_UNKNOWN } from '../dedupe/dedupe-window.ts';
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
import {
  copySlots,
  FLAG_ARRIVAL_TIME,
  FLAG_CONFLICT,
  FLAG_DUPLICATE,
  FLAG_NO_ROOM,
  FLAG_RESERVED,
  FLAGS_OF_MEMORY,
  isKeyed,
  metaIdBytes,
  SLOT_BYTES,
  SLOT_DOUBLES,
  SLOT_FINGERPRINT,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_OCCURRED_AT,
  SLOT_SEQ,
  SLOT_WORDS,
  SlotViews,
} from '../ring/slot.ts';
import { hashId } from '../store/id-hash.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import { Claims } from './claims.ts';
import type { LocalEnd } from './local-end.ts';
import { LocalLog } from './local-log.ts';
import {
  KIND_EVENTS,
  KIND_MARK,
  KIND_OPEN,
  MESSAGE_SLOTS_MAX,
  type Message,
  NONCE_BYTES,
  PLAIN_HEAD,
  packMessage,
} from './message.ts';
import { OwnSlots } from './own-slots.ts';
import { PROBE_MS, Proposer, RESEND_MS } from './proposer.ts';
import type { ReplicaFile } from './replica-file.ts';
import { ReplicaState } from './replica-state.ts';
import type { StoreRoom } from './store-room.ts';
import type { StreamPort } from './stream-port.ts';

/** Where the log's own numbers stand in the progress record, behind those of the local log's files. */
const OWN_POSITION = 15;
const OWN_CHAIN = 16;
const OWN_WRITER = 17;

/** Messages between two records of what is known of the stream. */
const RECORD_EVERY = 1024;
/** Nothing came back for so long: no more writes are taken in. */
const STUCK_MS = 2000;
/** How often an instance says where it is, when others' events have come and none of its own. */
const MARK_EVERY_MS = 1000;
/** How long a stop waits for frames that don't come back. */
const STOP_PATIENCE_MS = 5000;
const RETRY_DEFAULT: RetryPauses = { firstMs: 50, maxMs: 2000 };
const NO_WRAP = 0x3fffffff;
const NO_BODY = new Uint8Array(0);

assert.ok(OWN_WRITER < OWN_DOUBLES);

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
  readonly #proposer: Proposer;
  readonly #claims = new Claims();
  readonly #slots: OwnSlots;
  /** The slots of the message at hand, with hashes, as they go to the commit ring. */
  readonly #scratch = new SlotViews(
    new ArrayBuffer(MESSAGE_SLOTS_MAX * SLOT_BYTES),
    0,
    MESSAGE_SLOTS_MAX,
  );
  /** Indexes of the slots kept. */
  readonly #kept = new Int32Array(MESSAGE_SLOTS_MAX);
  readonly #own = new Float64Array(OWN_DOUBLES);
  #nextSeq: number;
  #lastTimeMs: number;
  /** This instance as the stream knows it; 0 = its OPEN has not come back. */
  #writer = 0;
  /** A writer that this instance was before, and whose frames may still come. */
  #former: number;
  #nonce = randomBytes(NONCE_BYTES);
  #openSentMs = Number.NEGATIVE_INFINITY;
  /** Up to here the local log has what the messages brought. */
  #rebuildUntil: LocalEnd;
  /** The last message of which all is done: a successor goes on behind it. */
  #done: LocalEnd;
  #sinceRecord = 0;
  /** First seq of the segment in which the last record was stored. */
  #recordedIn = 0;
  #chainSaid = 0;
  #markedMs: number;
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
    assert.equal(options.intakes.further?.length ?? 0, 0, 'one thread takes events in');
    const record = options.replica.load(tail.nextSeq);
    this.#state = new ReplicaState(record);
    this.#rebuildUntil = died
      ? { position: died.own[OWN_POSITION], chain: died.own[OWN_CHAIN] }
      : end;
    this.#done = this.#rebuildUntil;
    this.#former = died?.own[OWN_WRITER] ?? 0;
    this.#nextSeq = tail.nextSeq;
    this.#lastTimeMs = tail.lastTimeMs;
    this.#slots = new OwnSlots(options.intakes);
    this.#proposer = new Proposer((bytes) => options.port.publish(bytes), this.#monotonicMs);
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
    this.#markedMs = this.#monotonicMs();
    this.#state.isRebuilding = this.#state.position < this.#rebuildUntil.position;
    if (!this.#state.isRebuilding) this.#state.chain = this.#rebuildUntil.chain;
    this.#chainSaid = this.#state.chain;
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
    this.#report();
    return proposed || took > 0 ? 'worked' : 'idle';
  }

  /** How long it may sleep when nothing rings. */
  get #dueInMs(): number {
    // Whatever the port finds out rings the bell; this is for what nobody says.
    if (this.#writer === 0) return PROBE_MS;
    return Math.min(this.#proposer.dueInMs, MARK_EVERY_MS);
  }

  #propose(): boolean {
    if (this.#state.isRebuilding || this.#options.port.health().type === 'forked') return false;
    if (this.#writer === 0) {
      this.#sendOpen();
      return false;
    }
    this.#proposer.resend();
    let sent = false;
    while (this.#proposer.hasRoom) {
      const taken = this.#slots.takeNext();
      if (taken === undefined) break;
      const { body, live, bulk } = taken;
      this.#proposer.send(this.#pack(KIND_EVENTS, { n: this.#proposer.next, live, bulk }, body));
      sent = true;
    }
    if (!sent && this.#proposer.isEmpty) this.#mark();
    return sent;
  }

  /** Says where this instance is, so that others' and its own chain can be compared. */
  #mark(): void {
    const now = this.#monotonicMs();
    if (this.#chainSaid === this.#state.chain || now - this.#markedMs < MARK_EVERY_MS) return;
    this.#markedMs = now;
    this.#options.port.publish(this.#pack(KIND_MARK, {}, NO_BODY));
  }

  #pack(
    kind: number,
    head: Partial<Pick<Message, 'n' | 'live' | 'bulk' | 'nonce' | 'supersedes'>>,
    body: Uint8Array,
  ): Buffer {
    const { cluster, nowMs } = this.#options;
    this.#chainSaid = this.#state.chain;
    return packMessage(
      {
        ...PLAIN_HEAD,
        writer: this.#writer,
        seen: this.#state.position,
        chain: this.#state.chain,
        madeAtMs: nowMs(),
        kind,
        cluster,
        ...head,
      },
      body,
    );
  }

  #sendOpen(): void {
    const now = this.#monotonicMs();
    if (now - this.#openSentMs < RESEND_MS) return;
    this.#openSentMs = now;
    const head = { nonce: this.#nonce, supersedes: this.#former };
    this.#options.port.publish(this.#pack(KIND_OPEN, head, NO_BODY));
  }

  /** False when asked to stop while the disk failed. */
  #consume(position: number, bytes: Uint8Array): boolean {
    const verdict = this.#state.take(position, bytes);
    this.#sinceRecord++;
    if (this.#state.isRebuilding) {
      if (position === this.#rebuildUntil.position) {
        this.#state.isRebuilding = false;
        this.#state.chain = this.#rebuildUntil.chain;
        this.#chainSaid = this.#state.chain;
      }
      return true;
    }
    switch (verdict.type) {
      case 'void':
        this.#options.onVoid?.(position, verdict.reason);
        if (verdict.writer === this.#writer && this.#writer !== 0) this.#checkWriter();
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
    // With each segment: an older one may be removed, and with it what lies behind the record.
    const segment = this.#local.ends?.segment.firstSeq ?? 0;
    if (this.#sinceRecord >= RECORD_EVERY || segment !== this.#recordedIn) this.#record();
    return true;
  }

  #opened(writer: number, { nonce, supersedes }: Message): void {
    this.#claims.forget((known) => this.#state.writers.has(known));
    if (this.#writer === 0 && nonce.equals(this.#nonce)) {
      this.#writer = writer;
      this.#former = 0;
      this.#proposer.reset();
      this.#slots.rewind();
      this.#done = { position: this.#state.position, chain: this.#state.chain };
      this.#storeProgress();
    } else if (supersedes === this.#writer && this.#writer !== 0) this.#reopen();
    else this.#checkWriter();
  }

  /** A writer that is void begins anew. */
  #checkWriter(): void {
    if (this.#writer !== 0 && !this.#state.writers.has(this.#writer)) this.#reopen();
  }

  #reopen(): void {
    this.#writer = 0;
    this.#nonce = randomBytes(NONCE_BYTES);
    this.#openSentMs = Number.NEGATIVE_INFINITY;
    this.#proposer.reset();
  }

  #claim(message: Message): void {
    if (message.writer === this.#writer) return;
    this.#claims.note(message.writer, this.#state.claim(message));
  }

  #takeFrame(position: number, message: Message, body: Uint8Array): boolean {
    const { commits, room, receipts } = this.#options;
    const isOwn = message.writer === this.#writer || message.writer === this.#former;
    const count = message.live + message.bulk;
    commits.waitForRoom(count);
    this.#scratch.bytes.set(body);
    this.#prepare(count, isOwn ? message : undefined);
    const timeMs = logTimeAfter(this.#lastTimeMs, message.madeAtMs);
    const kept = this.#number(count, timeMs, room?.isTight(count) === true ? room : undefined);
    if (isOwn) this.#slots.tell(message, this.#scratch);
    if (kept > 0) {
      this.#fillLocal(kept);
      const firstSeq = this.#nextSeq;
      if (!this.#local.append({ firstSeq, count: kept, timeMs, position })) return false;
      this.#state.note(firstSeq, kept, this.#local.slotBytes(kept));
      this.#lastTimeMs = timeMs;
      this.#pass(kept, timeMs);
      this.#nextSeq += kept;
    }
    if (isOwn) {
      this.#slots.pass(message);
      if (message.writer === this.#writer) this.#proposer.seen(message.n);
    }
    const { chain } = this.#state;
    this.#done = { position, chain };
    this.#storeProgress();
    for (let i = 0; i < kept; i++) {
      const index = this.#kept[i];
      if (isReceipt(this.#scratch.words, index)) receipts.put(this.#scratch, index);
    }
    if (isOwn) this.#slots.settle();
    if (kept > 0) commits.publish();
    this.#count(message, isOwn, kept);
    return true;
  }

  /** Hashes of this instance in all slots, and what its admission reserved in its own. */
  #prepare(count: number, own: Message | undefined): void {
    const { words } = this.#scratch;
    for (let i = 0; i < count; i++) {
      const w = i * SLOT_WORDS;
      const meta = words[w + SLOT_META] & ~FLAGS_OF_MEMORY;
      const reserved = own !== undefined && this.#slots.isReserved(own, i) ? FLAG_RESERVED : 0;
      words[w + SLOT_META] = meta | reserved;
      if (isReceipt(words, i)) continue;
      const idBytes = metaIdBytes(meta);
      words[w + SLOT_HASH] = hashId(this.#options.hashKey, words, w + SLOT_ID, idBytes);
    }
  }

  /** Numbers the slots that count, marks the others; returns how many count. */
  #number(count: number, timeMs: number, room: StoreRoom | undefined): number {
    const { dedupe, dedupeEvents } = this.#options;
    const { words, doubles } = this.#scratch;
    let kept = 0;
    for (let i = 0; i < count; i++) {
      const w = i * SLOT_WORDS;
      const d = i * SLOT_DOUBLES;
      const seq = this.#nextSeq + kept;
      const isNoEvent = isReceipt(words, i);
      const hasKey = isKeyed(words, i) && !isNoEvent;
      if (hasKey) {
        const known = dedupe.seqAmongLast(dedupeEvents, words, w + SLOT_FINGERPRINT);
        if (known !== KEY_UNKNOWN) {
          const isConflict = known === KEY_CONFLICT;
          words[w + SLOT_META] |= isConflict ? FLAG_CONFLICT : FLAG_DUPLICATE;
          doubles[d + SLOT_SEQ] = isConflict ? 0 : known;
          continue;
        }
      }
      if (room !== undefined && !isNoEvent && !room.fits(this.#scratch, i)) {
        words[w + SLOT_META] |= FLAG_NO_ROOM;
        doubles[d + SLOT_SEQ] = 0;
        continue;
      }
      if (hasKey) dedupe.add(words, w + SLOT_FINGERPRINT, seq);
      doubles[d + SLOT_SEQ] = seq;
      if ((words[w + SLOT_META] & FLAG_ARRIVAL_TIME) !== 0) doubles[d + SLOT_OCCURRED_AT] = timeMs;
      this.#kept[kept++] = i;
    }
    return kept;
  }

  /** Copies the slots kept to the local log's frame, as they go to disk. */
  #fillLocal(kept: number): void {
    const { slots } = this.#local;
    this.#eachRun(kept, (from, count, to) =>
      copySlots(this.#scratch, NO_WRAP, from, slots, NO_WRAP, to, count),
    );
    for (let w = 0; w < kept * SLOT_WORDS; w += SLOT_WORDS) {
      slots.words[w + SLOT_HASH] = 0;
      slots.words[w + SLOT_META] &= ~FLAGS_OF_MEMORY;
    }
  }

  #pass(kept: number, timeMs: number): void {
    const { commits } = this.#options;
    this.#eachRun(kept, (from, count) =>
      commits.write(this.#scratch, NO_WRAP, from, count, timeMs),
    );
  }

  /** Calls `visit` with each run of slots kept: its index, its length, and how many came before it. */
  #eachRun(kept: number, visit: (from: number, count: number, before: number) => void): void {
    for (let i = 0; i < kept; ) {
      const from = this.#kept[i];
      let count = 1;
      while (i + count < kept && this.#kept[i + count] === from + count) count++;
      visit(from, count, i);
      i += count;
    }
  }

  #count({ live, bulk }: Message, isOwn: boolean, kept: number): void {
    if (kept > 0) this.#counters.frameEvents.observe(kept);
    if (isOwn) this.#slots.count(this.#counters, this.#scratch, live, bulk);
  }

  #record(): void {
    try {
      this.#options.replica.store(this.#state.record(this.#nextSeq));
      this.#sinceRecord = 0;
      this.#recordedIn = this.#local.ends?.segment.firstSeq ?? 0;
    } catch (error) {
      // The older record does as well; the local log's own flushes say whether the disk is well.
      this.#options.onVoid?.(this.#state.position, `record not stored: ${String(error)}`);
    }
  }

  /** Tells whoever takes writes in whether that makes sense. */
  #report(): void {
    const reason = this.#fault();
    if (reason === this.#reported) return;
    this.#reported = reason;
    this.#options.onStorage(reason === '', reason);
  }

  #fault(): string {
    if (this.#diskFault !== '') return this.#diskFault;
    const health = this.#options.port.health();
    if (health.type !== 'up') return health.reason;
    if (this.#state.isRebuilding) return 'reading the stream from where it was left';
    if (this.#claims.isOutvoted) return 'this instance has diverged from the others of its cluster';
    if (this.#writer === 0) return 'catching up with the stream';
    const since = this.#proposer.stuckSinceMs;
    if (since !== undefined && this.#monotonicMs() - since > STUCK_MS) {
      return 'the stream does not store what is sent to it';
    }
    return '';
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
    own[OWN_WRITER] = this.#writer === 0 ? this.#former : this.#writer;
    this.#options.progress.store({
      nextSeq: this.#nextSeq,
      commitHead: this.#options.commits.head,
      liveTail: this.#slots.liveTail,
      bulkTail: this.#slots.bulkTail,
      own,
    });
  }
}
