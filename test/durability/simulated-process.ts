/**
 * One life of the service on the simulated disk: the real recovery, sequencer, store and
 * checkpoints in one thread, with turns taken between any two calls of the disk. It may end at any
 * call, and so may its log thread, which is then replaced as the supervisor does it. Tests only.
 * (Over 300 lines: one life, call after call.)
 */
import assert from 'node:assert/strict';
import type { CheckpointMessage } from '../../src/checkpoint/checkpoint-messages.ts';
import { runCheckpoint } from '../../src/checkpoint/checkpoint-thread.ts';
import { PACE_WORDS } from '../../src/checkpoint/pace.ts';
import type { LogRetention } from '../../src/log/event-log.ts';
import { LogDamagedError } from '../../src/log/log-damaged-error.ts';
import { type LogTail, Sequencer } from '../../src/log/sequencer.ts';
import { StopRequested } from '../../src/recovery/replay.ts';
import { INTAKE_STOP } from '../../src/ring/intake-ring.ts';
import { LogProgress } from '../../src/ring/progress.ts';
import { takeOver } from '../../src/write-path/log-thread.ts';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import type { ExpectedLog, Handed } from './expected-log.ts';
import { Ended, FaultyFiles, type FaultyProcess } from './faulty-files.ts';
import { MortalProgress, MortalPublisher, MortalReceipts } from './mortal-log.ts';
import { type Fated, Producer } from './producer.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER, type RecoveredState } from './recovered-state.ts';

export type RingName = 'live' | 'bulk';

export interface ProcessOptions {
  readonly process: FaultyProcess;
  readonly expected: ExpectedLog;
  readonly state: RecoveredState;
  readonly segmentBytesMax: number;
  readonly retention: LogRetention;
  readonly nowMs: () => number;
  /** Other threads' turn, before each call of the thread that calls. */
  readonly meanwhile: (who: 'log' | 'checkpoint') => void;
}

export class SimulatedProcess {
  readonly state: RecoveredState;
  readonly #options: ProcessOptions;
  #logThread: FaultyFiles;
  #sequencer: Sequencer | undefined;
  readonly #producers: Readonly<Record<RingName, Producer>>;
  /** Commit time of each event passed on, by seq. */
  readonly #commitTimes = new Map<number, number>();
  /** Batches that may have been handed to the disk and are not settled. */
  #handed: Handed[] = [];
  #stopping = false;
  /** The log thread gave up on a batch, so it has ended. */
  #gaveUp = false;
  #coveredSeq = 1;
  #twiceCoveredSeq = 1;
  #damaged: string[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.state = options.state;
    options.process.onEnd = () => Atomics.store(this.#cursors, INTAKE_STOP, 1);
    this.#logThread = this.#thread('log');
    const { live, bulk } = this.state.intakes;
    this.#producers = { live: new Producer(live), bulk: new Producer(bulk) };
  }

  /** Slots free for `push`. */
  room(ring: RingName): number {
    return this.#producers[ring].room;
  }

  get hasPending(): boolean {
    this.#settle();
    return this.#all.some(({ pending }) => pending.length > 0);
  }

  get isStopping(): boolean {
    return this.#stopping;
  }

  /** Asks the log thread to stop, and to give up if the disk fails. */
  tellToStop(): void {
    this.#stopping = true;
    Atomics.store(this.#cursors, INTAKE_STOP, 1);
  }

  /** The log thread's next death, in calls from now. */
  set logThreadEndsIn(calls: number) {
    this.#logThread.endsAt = this.#logThread.calls + calls;
  }

  /**
   * Recovers, checks what was found and opens the log. False when a failing disk refused the start;
   * throws Ended when the process ended, and LogDamagedError, which no crash may cause.
   */
  start(): boolean {
    const { expected } = this.#options;
    let tail: LogTail;
    try {
      tail = this.state.recover(this.#logThread, this.#publisher(false));
      expected.check(this.state);
      this.#open(tail);
    } catch (error) {
      if (!isSystemError(error) && !(error instanceof StopRequested)) throw error;
      return false;
    }
    expected.adopt(this.state);
    this.#coveredSeq = this.state.replayFrom;
    for (const message of this.state.told) {
      if (message.type === 'checkpoint-damaged') this.#damaged.push(message.name);
    }
    return true;
  }

  /** The main thread claims a slot for `event`, unless the service starts or the store has no room. The ring must have. */
  push(event: PlainEvent, ring: RingName): boolean {
    this.#settle();
    // The intake is closed before: what room there is shows when all is restored.
    if (this.#sequencer === undefined) return false;
    const { memory, admission } = this.state;
    return this.#producers[ring].push(event, memory.hashKey, admission);
  }

  /**
   * What the cleanup does, and the applier then: frees the places of products that are forgotten, as far as
   * nobody counts on them. False if the log gave up.
   */
  sweep(): boolean {
    // Nothing is in flight then whose room was decided before.
    while (this.hasPending) if (!this.commit()) return false;
    this.sweepIfIdle();
    return true;
  }

  /** The same, if nothing is in flight as it is. */
  sweepIfIdle(): void {
    if (this.hasPending) return;
    this.state.apply();
    this.state.sweep(this.#twiceCoveredSeq - 1);
  }

  /** The log thread commits a batch; false when it was told to give up. Throws Ended. */
  commit(): boolean {
    return this.#onLogThread((sequencer) => sequencer.commitPending());
  }

  /** What the log thread does when nothing is pending. */
  idle(): void {
    this.#onLogThread((sequencer) => {
      sequencer.idle();
      return true;
    });
  }

  /** The service stops: what is pending is committed, the log sealed. False if it gave up. */
  stop(): boolean {
    this.tellToStop();
    return this.#onLogThread((sequencer) => sequencer.run());
  }

  /** Takes a checkpoint and applies the retention, unless there is nothing new. */
  checkpoint(): void {
    const { process, retention } = this.#options;
    const nextSeq = new LogProgress(this.state.memory.progress).load()?.nextSeq ?? 1;
    if (nextSeq <= this.#coveredSeq) return;
    const told: CheckpointMessage[] = [];
    runCheckpoint(
      {
        memory: this.state.memory,
        folder: CHECKPOINT_FOLDER,
        logFolder: LOG_FOLDER,
        isPaced: false,
        goal: nextSeq,
        coveredSeq: this.#coveredSeq,
        everyBytes: 0,
        logBytesPerSecond: 0,
        bytesPerSecond: undefined,
        retention,
        damaged: this.#damaged,
        control: new SharedArrayBuffer(PACE_WORDS * 4),
      },
      this.#thread('checkpoint'),
      (message) => told.push(message),
      () => this.state.apply(),
    );
    if (process.ended) throw new Ended('the process ended');
    for (const part of told) {
      if (part.type !== 'part') continue;
      this.#coveredSeq = part.replayFrom;
      this.#damaged = this.#damaged.filter((name) => name !== part.name);
    }
    const message = told.at(-1);
    if (message?.type === 'checkpoint') {
      this.#twiceCoveredSeq = Math.max(this.#twiceCoveredSeq, message.twiceCoveredSeq);
    } else {
      const reason = message?.type === 'failed' ? message.reason : 'cancelled';
      assert.match(reason, /^(EIO|ENOSPC): simulated/, 'only a failing disk fails a checkpoint');
      assert.ok(process.faults.length > 0);
    }
  }

  /** The process is gone: what was promised until then counts, what was handed on is unknown. */
  close(): void {
    if (this.#sequencer === undefined) return;
    this.#settle();
    this.#options.expected.leaveUnknown(this.#handed);
  }

  /** With the doorbell and the stop word of both rings. */
  get #cursors(): Int32Array {
    return this.state.intakes.live.cursors;
  }

  get #all(): readonly Producer[] {
    return Object.values(this.#producers);
  }

  #thread(who: 'log' | 'checkpoint'): FaultyFiles {
    const thread = new FaultyFiles(this.#options.process);
    thread.beforeCall = () => this.#options.meanwhile(who);
    return thread;
  }

  #publisher(isLive: boolean): MortalPublisher {
    return new MortalPublisher(this.state, this.#logThread, (seq, timeMs) => {
      if (isLive) this.#commitTimes.set(seq, timeMs);
    });
  }

  #open(tail: LogTail, commits = this.#publisher(true)): void {
    const { segmentBytesMax, nowMs } = this.#options;
    this.#logThread.beforeWrite = () => this.#noteHanded();
    this.#sequencer = new Sequencer(
      {
        intakes: this.state.intakes,
        dedupe: this.state.dedupe,
        receipts: new MortalReceipts(this.state, this.#logThread),
        commits,
        progress: new MortalProgress(this.state.memory.progress, this.#logThread),
        files: this.#logThread,
        folder: LOG_FOLDER,
        segmentBytesMax,
        nowMs,
        onStorage: () => undefined,
        retry: { firstMs: 0, maxMs: 0 },
      },
      tail,
    );
  }

  /** Runs `work`, and again in a successor if the thread dies meanwhile. Throws Ended. */
  #onLogThread(work: (sequencer: Sequencer) => boolean): boolean {
    while (!this.#gaveUp) {
      let done = false;
      try {
        done = work(this.#sequencer as Sequencer);
      } catch (error) {
        if (!(error instanceof Ended)) throw error;
      }
      if (this.#options.process.ended) throw new Ended('the process ended');
      if (!this.#logThread.ended) {
        this.#gaveUp = this.#stopping && !done;
        return done;
      }
      this.#replaceLogThread();
    }
    return false;
  }

  #replaceLogThread(): void {
    if (!this.#stopping) Atomics.store(this.#cursors, INTAKE_STOP, 0);
    this.#logThread = this.#thread('log');
    const died = new LogProgress(this.state.memory.progress).load();
    assert.ok(died !== undefined);
    // What it gave numbers to and did not commit is numbered again.
    this.#producers.live.forgetSeqs(died.liveTail);
    this.#producers.bulk.forgetSeqs(died.bulkTail);
    const commits = this.#publisher(true);
    try {
      const { intakes, dedupe, receiptWindow: receipts } = this.state;
      this.#open(takeOver({ intakes, dedupe, receipts }, commits, died), commits);
    } catch (error) {
      // The supervisor stops the process when a successor can't open the log.
      if (isSystemError(error)) this.#options.process.end();
      throw error;
    }
  }

  /** Notes what is numbered when something is written: that may reach the disk from now on. */
  #noteHanded(): void {
    const firstSeq = new LogProgress(this.state.memory.progress).load()?.nextSeq ?? 1;
    const numbered = this.#all
      .flatMap((producer) => producer.unsettled())
      .filter(({ fate, seq }) => fate === 'new' && seq >= firstSeq)
      .sort((a, b) => a.seq - b.seq);
    if (numbered.length === 0) return;
    this.#handed.push({ firstSeq, events: numbered.map(({ event }) => event) });
  }

  /** Reads what the log thread has settled, as the main thread does before it reuses a slot. */
  #settle(): void {
    const { expected } = this.#options;
    const settled = this.#all.flatMap((producer) => producer.settle(this.state.admission));
    const isNew = ({ fate }: Fated) => fate === 'new';
    for (const { seq, event } of settled.filter(isNew).sort((a, b) => a.seq - b.seq)) {
      const commitTimeMs = this.#commitTimes.get(seq);
      assert.ok(commitTimeMs !== undefined, 'settled without being durable');
      expected.promise(seq, event, commitTimeMs);
      this.#commitTimes.delete(seq);
    }
    if (this.#sequencer !== undefined) expected.checkReceipts(this.state.receiptWindow);
    // The next batch may be on its way already.
    this.#handed = this.#handed.filter(({ firstSeq }) => firstSeq > expected.promised);
    for (const { fate, seq, event } of settled) {
      if (fate === 'repeated') expected.repeat(seq, event);
      if (fate === 'conflict') expected.conflict(event);
    }
  }
}

/** An error that the simulated disk made, as opposed to a finding. */
function isSystemError(error: unknown): boolean {
  return (
    error instanceof Error &&
    !(error instanceof LogDamagedError) &&
    ['EIO', 'ENOSPC'].includes((error as NodeJS.ErrnoException).code ?? '')
  );
}
