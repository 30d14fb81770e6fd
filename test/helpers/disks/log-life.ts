/**
 * One life of the log in a folder of the real file system, in this thread: the real recovery, then
 * the real sequencer, one frame at a time. Tests only.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { DedupeWindow } from '../../../src/dedupe/dedupe-window.ts';
import { ReceiptWindow } from '../../../src/dedupe/receipt-window.ts';
import { CommitPublisher } from '../../../src/log/commit-publisher.ts';
import { type FileSystem, NodeFileSystem } from '../../../src/log/file-system.ts';
import { Sequencer } from '../../../src/log/sequencer.ts';
import { recover } from '../../../src/recovery/recovery.ts';
import { CommitRing } from '../../../src/ring/commit-ring.ts';
import { INTAKE_HEAD, INTAKE_STOP, IntakeRing } from '../../../src/ring/intake-ring.ts';
import { LogProgress, PROGRESS_BYTES } from '../../../src/ring/progress.ts';
import { describeSlot, type SlotContent } from '../../../src/ring/slot.ts';
import type { LogThreadMessage } from '../../../src/write-path/log-messages.ts';
import { type PlainEvent, putEvent } from '../models/plain-event.ts';

const SLOTS = 256;
const KEY = { k0: 1, k1: 2 };

/** An event whose number is given by the log. */
export type Unnumbered = Omit<PlainEvent, 'seq'>;

export interface Recovered {
  /** All events of the log, in order. */
  readonly events: readonly SlotContent[];
  readonly told: readonly LogThreadMessage[];
  /** What was cut, if a torn tail was found. */
  readonly tornTail: Extract<LogThreadMessage, { type: 'torn-tail' }> | undefined;
}

/** Reads the log under `root` as a start does, and changes nothing but leftovers. */
export function recovered(root: string, files: FileSystem = new NodeFileSystem()): Recovered {
  return recoverTail(root, files).recovered;
}

function recoverTail(root: string, files: FileSystem) {
  const folder = join(root, 'log');
  const checkpoints = join(root, 'checkpoints');
  mkdirSync(folder, { recursive: true });
  mkdirSync(checkpoints, { recursive: true });
  const events: SlotContent[] = [];
  const told: LogThreadMessage[] = [];
  const tail = recover({
    files,
    folder,
    checkpoints,
    sink: {
      entries: () => undefined,
      keys: () => undefined,
      receipts: () => undefined,
      outcomes: () => undefined,
      frame: (slots, first, frame) => {
        for (let i = 0; i < frame.count; i++) events.push(describeSlot(slots, first + i));
      },
      finish: () => undefined,
    },
    report: (message) => told.push(message),
  });
  const tornTail = told.find((message) => message.type === 'torn-tail');
  return { tail, recovered: { events, told, tornTail } };
}

export interface LifeOptions {
  readonly files?: FileSystem;
  readonly segmentBytesMax?: number;
}

export class LogLife {
  readonly recovered: Recovered;
  readonly #intake = IntakeRing.create(SLOTS);
  readonly #sequencer: Sequencer;
  #head = 0;

  /** Recovers what is under `root` and opens the log for appending. */
  constructor(
    root: string,
    { files = new NodeFileSystem(), segmentBytesMax = 1 << 20 }: LifeOptions = {},
  ) {
    const { tail, recovered } = recoverTail(root, files);
    this.recovered = recovered;
    const options = {
      intakes: { live: this.#intake, bulk: IntakeRing.create(1) },
      dedupe: new DedupeWindow(DedupeWindow.create(SLOTS), KEY),
      receipts: new ReceiptWindow(ReceiptWindow.createFor(SLOTS), KEY),
      commits: new CommitPublisher(CommitRing.create(2 * SLOTS, 0)),
      progress: new LogProgress(new SharedArrayBuffer(PROGRESS_BYTES)),
      files,
      folder: join(root, 'log'),
      segmentBytesMax,
      nowMs: () => 1_700_000_000_000 + this.#sequencer.nextSeq,
      onStorage: (_: boolean, reason: string) => {
        throw new Error(`storage: ${reason}`);
      },
    };
    this.#sequencer = new Sequencer({ ...options, nowMs: () => 1_700_000_000_000 }, tail);
  }

  /** Appends one frame of these events (1 … 256). */
  append(events: readonly Unnumbered[]): void {
    for (const event of events) {
      const index = this.#head & this.#intake.mask;
      putEvent(this.#intake.slots, index, { ...event, seq: 0 }, KEY);
      this.#head = (this.#head + 1) | 0;
    }
    Atomics.store(this.#intake.cursors, INTAKE_HEAD, this.#head);
    if (!this.#sequencer.commitPending()) throw new Error('the sequencer gave up');
  }

  /** What the log thread does while nothing comes: room is made for the next frames. */
  idle(): void {
    this.#sequencer.idle();
  }

  /** Closes the log cleanly. */
  close(): void {
    Atomics.store(this.#intake.cursors, INTAKE_STOP, 1);
    this.#sequencer.run();
  }
}
