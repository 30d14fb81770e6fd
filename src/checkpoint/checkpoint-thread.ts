/**
 * One round over the parts of the checkpoint: writes anew those that are behind, the one that is
 * furthest behind first, and removes what is no longer needed. Each part counts as soon as it is
 * written, so a round that is given up, killed or failed has lost one part at the most, and the next
 * one goes on with the others. The thread lives only as long as a round takes.
 */
import { DedupeWindow } from '../dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../dedupe/receipt-window.ts';
import type { KeptLog } from '../log/event-log.ts';
import type { FileSystem } from '../log/file-system.ts';
import { KeptSegments } from '../log/kept-segments.ts';
import { LogHolds } from '../log/log-holds.ts';
import { OutcomeWindow } from '../outcome/outcome-window.ts';
import { SLOT_BYTES } from '../ring/slot.ts';
import { ENTRY_BYTES, SHARD_USED, Shard } from '../store/shard.ts';
import { ApplierProgress, type WaitForAppliers, waitForBell } from './applier-progress.ts';
import type { CheckpointMessage, CheckpointThreadData } from './checkpoint-messages.ts';
import { windowsName } from './format.ts';
import { LogRate } from './log-rate.ts';
import { needOf } from './need.ts';
import { Cancelled, Pace } from './pace.ts';
import { presentParts, readHeader } from './part-files.ts';
import { keyNameOf, PART_HEADER_BYTES, partFileName } from './part-format.ts';
import { writePart } from './part-writer.ts';
import { listWindows } from './reader.ts';
import { applyRetention, type Removed } from './retention.ts';
import { copyOutcomes, type OutcomesSource } from './windows.ts';
import { writeWindowsPart } from './windows-writer.ts';

/** Removing is done after a part, but not more often than this. */
const RETENTION_EVERY_MS = 1000;
/** What is thought of the disk until it is known, bytes in a second of work. */
const SPEED_DEFAULT = 100e6;

/** Where the replay of one shard, or of the windows (shard −1), must start. */
interface Position {
  readonly shard: number;
  /** 0 = there is no part of it. */
  replayFrom: number;
}

/** Runs one round. Blocks its thread. Reports each part, and how it ended. `wait` is for tests. */
export function runCheckpoint(
  data: CheckpointThreadData,
  files: FileSystem,
  report: (message: CheckpointMessage) => void,
  wait: WaitForAppliers = waitForBell,
  log: KeptLog = new KeptSegments(files, data.logFolder),
): void {
  let round: Round | undefined;
  try {
    round = new Round(data, files, log, report, wait);
    round.run();
    report({ type: 'checkpoint', ...round.result });
  } catch (error) {
    if (error instanceof Cancelled) report({ type: 'cancelled' });
    else report({ type: 'failed', reason: error instanceof Error ? error.message : String(error) });
  }
}

class Round {
  readonly #data: CheckpointThreadData;
  readonly #files: FileSystem;
  readonly #log: KeptLog;
  readonly #report: (message: CheckpointMessage) => void;
  readonly #events: ApplierProgress;
  readonly #pace: Pace;
  readonly #rate: LogRate;
  readonly #shards: readonly Shard[];
  readonly #keyName: string;
  readonly #dedupe: DedupeWindow;
  readonly #receipts: ReceiptWindow;
  readonly #outcomes: OutcomesSource;
  readonly #startedMs = performance.now();
  readonly #positions: readonly Position[];
  /** Those that are still to be written, the one that is furthest behind first. */
  #pending: Position[];
  #damaged: readonly string[];
  /** Up to where the last two parts hold outcomes: a part has those of all since the last but one. */
  readonly #outcomesEnds: number[] = [];
  #partBytesDone = 0;
  #bytesDone = 0;
  #retentionMs = Number.NEGATIVE_INFINITY;
  #removed: Removed = { checkpoints: 0, segments: 0 };
  #twiceCoveredSeq = 1;
  #parts = 0;
  #entries = 0;
  #bytes = 0;

  constructor(
    data: CheckpointThreadData,
    files: FileSystem,
    log: KeptLog,
    report: (message: CheckpointMessage) => void,
    wait: WaitForAppliers,
  ) {
    const { memory, folder, isPaced, goal, damaged } = data;
    this.#data = data;
    this.#files = files;
    this.#log = log;
    this.#report = report;
    const events = new ApplierProgress(memory, wait);
    this.#events = events;
    this.#damaged = damaged;
    this.#rate = new LogRate(data.logBytesPerSecond);
    this.#pace = new Pace({
      control: new Int32Array(data.control),
      isPaced,
      nextSeq: () => events.nextSeq(),
      need: () => this.#need(),
    });
    this.#shards = memory.shards.map((buffer) => new Shard(buffer));
    this.#keyName = keyNameOf(memory.hashKey);
    this.#dedupe = new DedupeWindow(memory.dedupe, memory.hashKey);
    this.#receipts = new ReceiptWindow(memory.receipts, memory.hashKey);
    this.#outcomes = {
      window: new OutcomeWindow(memory.outcomes),
      nextSeq: () => events.nextSeq(),
      waitUntilApplied: (seq) => events.waitUntilApplied(seq, () => this.#pace.look()),
    };
    const present = presentParts(files, folder, this.#set);
    const isGood = (name: string) => !damaged.includes(name);
    const windows = listWindows(files, folder).find((seq) => isGood(windowsName(seq)));
    this.#positions = [
      { shard: -1, replayFrom: windows ?? 0 },
      ...present.map((parts, shard) => {
        const good = parts.find((part) => isGood(partFileName(part)));
        return { shard, replayFrom: good?.replayFrom ?? 0 };
      }),
    ];
    this.#pending = this.#positions
      .filter(({ replayFrom }) => replayFrom < goal)
      .sort((a, b) => a.replayFrom - b.replayFrom);
    this.#noteOutcomes(present.flat().sort((a, b) => b.replayFrom - a.replayFrom));
  }

  get result() {
    return {
      replayFrom: this.#oldest,
      parts: this.#parts,
      entries: this.#entries,
      bytes: this.#bytes,
      durationMs: performance.now() - this.#startedMs,
      bytesPerSecond: this.#speed,
      removed: this.#removed,
      twiceCoveredSeq: this.#twiceCoveredSeq,
    };
  }

  run(): void {
    for (let next = this.#pending[0]; next !== undefined; next = this.#pending[0]) {
      const replayFrom = this.#events.appliedBefore();
      // Nothing more is applied than what it has, and so what the others have. Going on with them would
      // upset the order in which parts are written, on which it hangs that two of them hold an outcome.
      if (next.replayFrom >= replayFrom && !this.#isForced) break;
      this.#write(next, replayFrom);
      this.#pending.shift();
      if (performance.now() - this.#retentionMs >= RETENTION_EVERY_MS) this.#applyRetention();
    }
    this.#applyRetention();
  }

  /** Whether everything is written, because files were lost: then the log need not reach back before it. */
  get #isForced(): boolean {
    return this.#data.goal === Number.POSITIVE_INFINITY;
  }

  get #set() {
    return { keyName: this.#keyName, shards: this.#shards.length };
  }

  /** From where a start would have to replay. */
  get #oldest(): number {
    // What no part covers is covered by what the service was started from.
    return Math.min(...this.#positions.map((p) => p.replayFrom || this.#data.coveredSeq));
  }

  get #speed(): number {
    const { workedMs } = this.#pace;
    return this.#bytesDone > 0 && workedMs > 0
      ? (this.#bytesDone * 1000) / workedMs
      : (this.#data.bytesPerSecond ?? SPEED_DEFAULT);
  }

  #write(position: Position, replayFrom: number): void {
    const { folder } = this.#data;
    const files = this.#files;
    const { shard } = position;
    const log = this.#log.identityAt(replayFrom);
    const common = { files, folder, replayFrom, nowMs: Date.now(), log };
    this.#partBytesDone = 0;
    if (shard < 0) {
      const windows = {
        dedupe: this.#dedupe,
        receipts: this.#receipts,
        outcomes: this.#outcomes,
      };
      const pause = () => this.#pace.restOrThrow();
      const { bytes, outcomesEnd } = writeWindowsPart({ ...common, windows, pause });
      this.#noteEnd(outcomesEnd);
      this.#bytes += bytes;
    } else {
      let outcomesEnd = 1;
      const { entries, bytes } = writePart({
        ...common,
        key: this.#data.memory.hashKey,
        shards: this.#shards,
        shard,
        outcomes: () => {
          const known = copyOutcomes(this.#outcomes, this.#outcomesEnds[1] ?? 1);
          outcomesEnd = known.firstSeq + known.bytes.length;
          return known;
        },
        flushBytes: () => this.#pace.flushBytes,
        pause: (done) => {
          this.#partBytesDone += done;
          this.#bytesDone += done;
          this.#pace.restOrThrow();
        },
      });
      this.#noteEnd(outcomesEnd);
      this.#entries += entries;
      this.#bytes += bytes;
    }
    this.#partBytesDone = 0;
    position.replayFrom = replayFrom;
    this.#parts++;
    const name =
      shard < 0 ? windowsName(replayFrom) : partFileName({ ...this.#set, shard, replayFrom });
    // A damaged one of this name was replaced.
    this.#damaged = this.#damaged.filter((damaged) => damaged !== name);
    this.#report({ type: 'part', name, replayFrom: this.#oldest });
  }

  #noteEnd(end: number): void {
    this.#outcomesEnds.unshift(end);
    this.#outcomesEnds.length = Math.min(this.#outcomesEnds.length, 2);
  }

  /** How far the parts on the disk hold outcomes: by the two latest that can be read. */
  #noteOutcomes(parts: readonly Parameters<typeof partFileName>[0][]): void {
    for (const part of parts) {
      if (this.#outcomesEnds.length === 2) return;
      const header = readHeader(this.#files, this.#data.folder, part);
      if ('outcomesEnd' in header) this.#outcomesEnds.push(header.outcomesEnd);
    }
  }

  #need(): number {
    const nextSeq = this.#events.nextSeq();
    this.#rate.note(nextSeq, performance.now());
    return needOf({
      pending: this.#pending.map((position, i) => ({
        behindBytes: (nextSeq - (position.replayFrom || this.#data.coveredSeq)) * SLOT_BYTES,
        bytes: this.#bytesOf(position) - (i === 0 ? this.#partBytesDone : 0),
      })),
      everyBytes: this.#data.everyBytes,
      logBytesPerSecond: this.#rate.bytesPerSecond,
      bytesPerSecond: this.#speed,
    });
  }

  /** What writing it takes. */
  #bytesOf({ shard }: Position): number {
    const words = this.#shards[shard]?.words;
    if (words === undefined) return this.#data.memory.dedupe.byteLength;
    return PART_HEADER_BYTES + Atomics.load(words, SHARD_USED) * ENTRY_BYTES;
  }

  #applyRetention(): void {
    const { folder, memory, retention } = this.#data;
    const { checkpoints, segments, ...rest } = applyRetention({
      files: this.#files,
      log: this.#log,
      holds: new LogHolds(memory.holds),
      checkpointFolder: folder,
      set: this.#set,
      kept: this.#isForced && this.#pending.length === 0 ? 1 : undefined,
      retention,
      damaged: this.#damaged,
      nowMs: Date.now(),
      onCovered: (seq) => {
        this.#twiceCoveredSeq = seq;
      },
      goOn: () => this.#pace.rest(),
    });
    this.#removed = {
      checkpoints: this.#removed.checkpoints + checkpoints,
      segments: this.#removed.segments + segments,
      ...rest,
    };
    this.#retentionMs = performance.now();
  }
}
