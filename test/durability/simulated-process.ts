/**
 * One life of the service on the simulated disk: the real recovery, sequencer, store and
 * checkpoints in one thread, with turns taken between any two calls of the disk. It may end at any
 * call, and so may its log thread, which is then replaced as the supervisor does it. Tests only.
 */
import assert from 'node:assert/strict';
import { runCheckpoint } from '../../src/checkpoint/checkpoint-thread.ts';
import type { LogRetention } from '../../src/checkpoint/retention.ts';
import { takeOver } from '../../src/log/log-thread.ts';
import { LogProgress } from '../../src/log/progress.ts';
import { StopRequested } from '../../src/log/replay.ts';
import { LogDamagedError } from '../../src/log/segment-reader.ts';
import { type LogTail, Sequencer } from '../../src/log/sequencer.ts';
import { INTAKE_HEAD, INTAKE_STOP, INTAKE_TAIL } from '../../src/ring/intake-ring.ts';
import { SLOT_DOUBLES, SLOT_SEQ } from '../../src/ring/slot.ts';
import type { CheckpointMessage } from '../../src/threads/shared-memory.ts';
import { type PlainEvent, putEvent } from '../helpers/plain-event.ts';
import type { ExpectedLog } from './expected-log.ts';
import { Ended, FaultyFiles, type FaultyProcess } from './faulty-files.ts';
import { MortalProgress, MortalPublisher } from './mortal-log.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER, type RecoveredState } from './recovered-state.ts';

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
  /** Events between tail and head of the intake ring, oldest first. */
  #pending: PlainEvent[] = [];
  /** Commit time of the slot at a cursor of the intake ring. */
  readonly #commitTimes = new Map<number, number>();
  #settled: number;
  /** Cursor up to which events may have been handed to the disk. */
  #handed: number;
  #stopping = false;
  #coveredSeq = 1;
  #damaged: number[] = [];

  constructor(options: ProcessOptions) {
    this.#options = options;
    this.state = options.state;
    options.process.onEnd = () => Atomics.store(this.#cursors, INTAKE_STOP, 1);
    this.#logThread = this.#thread('log');
    this.#settled = Atomics.load(this.#cursors, INTAKE_TAIL);
    this.#handed = this.#settled;
  }

  /** Slots free for `push`. */
  get room(): number {
    return this.state.intakes.live.capacity - this.#pending.length;
  }

  get hasPending(): boolean {
    this.#settle();
    return this.#pending.length > 0;
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
      if (message.type === 'checkpoint-damaged') this.#damaged.push(message.replayFrom);
    }
    return true;
  }

  /** The main thread claims a slot for `event`. There must be room. */
  push(event: PlainEvent): void {
    this.#settle();
    const { slots, mask } = this.state.intakes.live;
    const head = Atomics.load(this.#cursors, INTAKE_HEAD);
    putEvent(slots, head & mask, event, this.state.memory.hashKey);
    this.#pending.push(event);
    Atomics.store(this.#cursors, INTAKE_HEAD, (head + 1) | 0);
  }

  /** The log thread commits a batch; false when it was told to give up. Throws Ended. */
  commit(): boolean {
    return this.#onLogThread((sequencer) => {
      this.#handed = Atomics.load(this.#cursors, INTAKE_HEAD);
      return sequencer.commitPending();
    });
  }

  /** What the log thread does when nothing is pending. */
  idle(): void {
    this.#onLogThread((sequencer) => sequencer.idle());
  }

  /** The service stops: what is pending is committed, the log sealed. False if it gave up. */
  stop(): boolean {
    this.tellToStop();
    // Nothing is pushed any more, so all that is pending may go.
    this.#handed = Atomics.load(this.#cursors, INTAKE_HEAD);
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
        retention,
        damaged: this.#damaged,
        cancel: new SharedArrayBuffer(4),
      },
      this.#thread('checkpoint'),
      (message) => told.push(message),
    );
    if (process.ended) throw new Ended('the process ended');
    const message = told[0];
    if (message?.type === 'checkpoint') {
      this.#coveredSeq = message.replayFrom;
      this.#damaged = this.#damaged.filter((seq) => seq !== message.replayFrom);
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
    const handed = (this.#handed - this.#settled) | 0;
    this.#options.expected.leaveUnknown(this.#pending.slice(0, Math.max(0, handed)));
  }

  get #cursors(): Int32Array {
    return this.state.intakes.live.cursors;
  }

  #thread(who: 'log' | 'checkpoint'): FaultyFiles {
    const thread = new FaultyFiles(this.#options.process);
    thread.beforeCall = () => this.#options.meanwhile(who);
    return thread;
  }

  #publisher(isLive: boolean): MortalPublisher {
    return new MortalPublisher(this.state, this.#logThread, (fromCursor, count, timeMs) => {
      if (!isLive) return;
      for (let i = 0; i < count; i++) this.#commitTimes.set((fromCursor + i) | 0, timeMs);
    });
  }

  #open(tail: LogTail, commits = this.#publisher(true)): void {
    const { segmentBytesMax, nowMs } = this.#options;
    this.#sequencer = new Sequencer(
      {
        intakes: this.state.intakes,
        dedupe: this.state.dedupe,
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
    for (;;) {
      let done = false;
      try {
        done = work(this.#sequencer as Sequencer);
      } catch (error) {
        if (!(error instanceof Ended)) throw error;
      }
      if (this.#options.process.ended) throw new Ended('the process ended');
      if (!this.#logThread.ended) return done;
      this.#replaceLogThread();
    }
  }

  #replaceLogThread(): void {
    if (!this.#stopping) Atomics.store(this.#cursors, INTAKE_STOP, 0);
    this.#logThread = this.#thread('log');
    const died = new LogProgress(this.state.memory.progress).load();
    assert.ok(died !== undefined);
    const commits = this.#publisher(true);
    try {
      this.#open(takeOver(this.state.intakes, this.state.dedupe, commits, died), commits);
    } catch (error) {
      // The supervisor stops the process when a successor can't open the log.
      if (isSystemError(error)) this.#options.process.end();
      throw error;
    }
  }

  /** Reads what the log thread has settled, as the main thread does before it reuses a slot. */
  #settle(): void {
    const { slots, mask } = this.state.intakes.live;
    const tail = Atomics.load(this.#cursors, INTAKE_TAIL);
    for (; this.#settled !== tail; this.#settled = (this.#settled + 1) | 0) {
      const seq = slots.doubles[(this.#settled & mask) * SLOT_DOUBLES + SLOT_SEQ] as number;
      const commitTimeMs = this.#commitTimes.get(this.#settled);
      const event = this.#pending.shift();
      assert.ok(event !== undefined && commitTimeMs !== undefined, 'settled without being durable');
      this.#options.expected.promise(seq, event, commitTimeMs);
      this.#commitTimes.delete(this.#settled);
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
