/**
 * What must be on the disk, said without a disk: the events that were promised, in order, and those
 * whose outcome nobody was told. Compares what a recovery finds with that. Tests only.
 */
import assert from 'node:assert/strict';
import type { PlainEvent } from '../helpers/plain-event.ts';
import { ProductModel } from '../helpers/product-model.ts';
import type { RecoveredState } from './recovered-state.ts';

/** An event that has its seq and its batch's commit time. */
export interface Committed {
  readonly event: PlainEvent;
  readonly commitTimeMs: number;
}

export class ExpectedLog {
  /** Acknowledged events: seq 1 first. */
  readonly #promised: Committed[] = [];
  /** State after all of them. */
  readonly #model = new ProductModel();
  /** Handed to the disk behind them, in order, and never answered. */
  #unknown: readonly PlainEvent[] = [];

  get promised(): number {
    return this.#promised.length;
  }

  /** Somebody was told that `event` is durable and has this seq. */
  promise(seq: number, event: PlainEvent, commitTimeMs: number): void {
    assert.equal(seq, this.#promised.length + 1, 'seqs are given in order, without gaps');
    this.#promised.push({ event, commitTimeMs });
    this.#model.apply({ ...event, seq }, commitTimeMs);
  }

  /** When the batch of a promised event was committed; `undefined` for other seqs. */
  commitTimeOf(seq: number): number | undefined {
    return this.#promised[seq - 1]?.commitTimeMs;
  }

  /** A process ended while these were on their way to the disk. */
  leaveUnknown(events: readonly PlainEvent[]): void {
    this.#unknown = events;
  }

  /**
   * Asserts that `found` is all that was promised and nothing else, but perhaps the first of the
   * unknown. Returns those.
   */
  check(found: RecoveredState): readonly Committed[] {
    const events = found.nextSeq - 1;
    assert.ok(events >= this.promised, `lost: ${events} of ${this.promised} promised events left`);
    const arrived = events - this.promised;
    assert.ok(arrived <= this.#unknown.length, `${arrived} events appeared from nowhere`);
    this.#checkEvents(found);
    const model = this.#model.copy();
    const adopted = this.#unknown.slice(0, arrived).map((event, i) => {
      const seq = this.promised + i + 1;
      const commitTimeMs = found.events.get(seq)?.commitTimeMs;
      assert.ok(commitTimeMs !== undefined, `seq ${seq} is in a checkpoint and was not committed`);
      model.apply({ ...event, seq }, commitTimeMs);
      return { event, commitTimeMs };
    });
    found.assertState(model);
    return adopted;
  }

  /** As `check`, and then what was found is promised: readers see it. */
  adopt(found: RecoveredState): void {
    for (const { event, commitTimeMs } of this.check(found)) {
      this.promise(this.promised + 1, event, commitTimeMs);
    }
    this.#unknown = [];
  }

  /** Asserts that `found` is exactly what was promised before seq `end`. */
  checkCut(found: RecoveredState, end: number): void {
    assert.equal(found.nextSeq, end);
    this.#checkEvents(found);
    const model = new ProductModel();
    for (const [i, { event, commitTimeMs }] of this.#promised.slice(0, end - 1).entries()) {
      model.apply({ ...event, seq: i + 1 }, commitTimeMs);
    }
    found.assertState(model);
  }

  #checkEvents(found: RecoveredState): void {
    let before = 0;
    for (const [seq, { event, commitTimeMs }] of found.events) {
      assert.ok(before === 0 || seq === before + 1, `seq ${seq} after ${before}`);
      before = seq;
      const promised = this.#promised[seq - 1];
      const expected = promised?.event ?? this.#unknown[seq - 1 - this.promised];
      assert.deepEqual(event, { ...expected, seq }, `seq ${seq}`);
      if (promised !== undefined) assert.equal(commitTimeMs, promised.commitTimeMs);
    }
    if (found.nextSeq > found.replayFrom) assert.equal(before, found.nextSeq - 1);
  }
}
