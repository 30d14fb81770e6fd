/**
 * The way back into the store at start: parts of a checkpoint lie in the shards as they are, entries of
 * others go straight into them, frames of the log become slots of the commit ring, the same road that
 * live events take, and keys go into the dedupe window, receipts into theirs. Log thread.
 */
import type { ImageTarget } from '../checkpoint/restore.ts';
import { isReceipt } from '../dedupe/batch-receipt.ts';
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../dedupe/receipt-window.ts';
import type { CommitPublisher } from '../log/commit-publisher.ts';
import type { CheckedFrame } from '../log/format.ts';
import { OUTCOME_UNKNOWN, type OutcomeWindow } from '../outcome/outcome-window.ts';
import { INTAKE_STOP, type IntakeRing } from '../ring/intake-ring.ts';
import {
  FLAGS_RESERVATION,
  isKeyed,
  metaIdBytes,
  SLOT_DOUBLES,
  SLOT_FINGERPRINT,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_SEQ,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import type { FreeingBounds } from '../store/freeing-bounds.ts';
import { hashId } from '../store/id-hash.ts';
import type { RestoreBoard } from '../store/restore-board.ts';
import type { RestoredBefore } from '../store/restored-before.ts';
import type { Shard } from '../store/shard.ts';
import { ShardRestorer } from '../store/shard-restorer.ts';
import type { HashKey } from '../threads/shared-memory.ts';
import type { RecoverySink } from './recovery.ts';

/** Slots are shown to the appliers when this many were written. */
const PUBLISH_SLOTS = 1024;

/** The mask of a plain stretch of slots: it only has to cover it. */
const NO_WRAP = 0x3fffffff;

/** Thrown through the replay when the service is asked to stop meanwhile. */
export class StopRequested extends Error {}

/** What is brought back; empty at the beginning. */
export interface ReplayTarget {
  readonly shards: readonly Shard[];
  /** Of the ids in the shards. */
  readonly hashKey: HashKey;
  readonly dedupe: DedupeWindow;
  readonly receipts: ReceiptWindow;
  readonly outcomes: OutcomeWindow;
  /** What the appliers may free where a shard is full; without it, nothing. */
  readonly freeing?: FreeingBounds | undefined;
  /** What the appliers need not apply, and who helps; without it parts are restored entry by entry. */
  readonly images?: { readonly restored: RestoredBefore; readonly board: RestoreBoard } | undefined;
}

export class Replay implements RecoverySink {
  readonly #intake: IntakeRing;
  readonly #commits: CommitPublisher;
  readonly #target: ReplayTarget;
  readonly #restorer: ShardRestorer;
  readonly image: ImageTarget | undefined;
  #unpublished = 0;
  /** Events up to it have their keys from a checkpoint. */
  #lastKeySeq = 0;
  /** Receipts before it are restored: put again, they would come before later ones of other keys. */
  #windowsBefore = 1;
  /** Free slots of the commit ring that were not used since the appliers were last asked. */
  #room = 0;

  constructor(intake: IntakeRing, commits: CommitPublisher, target: ReplayTarget) {
    this.#intake = intake;
    this.#commits = commits;
    this.#target = target;
    this.#restorer = new ShardRestorer(target.shards, target.hashKey);
    const { shards, hashKey, images } = target;
    this.image = images && {
      shards,
      key: hashKey,
      board: images.board,
      restored: (shard, seq) => images.restored.store(shard, seq),
      look: () => this.#stopIfAsked(),
    };
  }

  /** Replays a frame's events from seq `from` on. Throws StopRequested. */
  frame(slots: SlotViews, first: number, frame: CheckedFrame, from: number): void {
    const { freeing } = this.#target;
    if (freeing !== undefined && !freeing.isReplaying) freeing.isReplaying = true;
    const skipped = Math.max(0, Math.min(frame.count, from - frame.firstSeq));
    for (let i = skipped; i < frame.count; i++) {
      const w = (first + i) * SLOT_WORDS;
      const meta = slots.words[w + SLOT_META];
      slots.words[w + SLOT_META] = meta & ~FLAGS_RESERVATION;
      this.#hash(slots, w, metaIdBytes(meta));
      if (!isKeyed(slots.words, first + i)) continue;
      const seq = slots.doubles[(first + i) * SLOT_DOUBLES + SLOT_SEQ];
      if (isReceipt(slots.words, first + i)) {
        if (seq >= this.#windowsBefore) this.#target.receipts.put(slots, first + i);
        continue;
      }
      if (seq > this.#lastKeySeq) this.#target.dedupe.add(slots.words, w + SLOT_FINGERPRINT, seq);
    }
    this.#write(slots, first + skipped, frame.count - skipped, frame.commitTimeMs);
  }

  /** Restores `count` entries of a checkpoint, before any frame. Throws StopRequested, NoRoomError. */
  readonly entries = (entries: SlotViews, first: number, count: number): void => {
    this.#stopIfAsked();
    this.#restorer.restore(entries, first, count);
  };

  /** Blocks until everything replayed so far is in the store. */
  finish(): void {
    this.#commits.publish();
    this.#commits.waitUntilApplied();
  }

  readonly keys = (entries: Int32Array, count: number): void => {
    this.#lastKeySeq = this.#target.dedupe.restore(entries, count);
  };

  readonly receipts = (slots: SlotViews, first: number, count: number): void => {
    for (let i = first; i < first + count; i++) this.#target.receipts.put(slots, i);
  };

  readonly windowsBefore = (seq: number): void => {
    this.#windowsBefore = seq;
  };

  /** Stores those that the window still has room for: it may be smaller than it was. */
  outcomes(firstSeq: number, bytes: Uint8Array, nextSeq: number): void {
    const { outcomes } = this.#target;
    const skipped = Math.max(0, nextSeq - outcomes.capacity - firstSeq);
    for (let i = skipped; i < bytes.length; i++) {
      const outcome = bytes[i];
      if (outcome !== OUTCOME_UNKNOWN) outcomes.store(firstSeq + i, outcome);
    }
  }

  #hash({ words }: SlotViews, w: number, idBytes: number): void {
    words[w + SLOT_HASH] = hashId(this.#target.hashKey, words, w + SLOT_ID, idBytes);
  }

  #write(slots: SlotViews, first: number, count: number, commitTimeMs: number): void {
    let done = 0;
    while (done < count) {
      if (this.#room === 0) this.#findRoom();
      const run = Math.min(count - done, this.#room);
      this.#commits.write(slots, NO_WRAP, first + done, run, commitTimeMs);
      this.#room -= run;
      done += run;
    }
    this.#unpublished += count;
    if (this.#unpublished >= PUBLISH_SLOTS) this.#publish();
  }

  /** Blocks until the commit ring has room. */
  #findRoom(): void {
    this.#room = this.#commits.free();
    if (this.#room > 0) return;
    this.#publish();
    this.#commits.waitForRoom();
    this.#room = this.#commits.free();
  }

  #publish(): void {
    this.#stopIfAsked();
    this.#commits.publish();
    this.#unpublished = 0;
  }

  #stopIfAsked(): void {
    if (Atomics.load(this.#intake.cursors, INTAKE_STOP) === 1) throw new StopRequested();
  }
}
