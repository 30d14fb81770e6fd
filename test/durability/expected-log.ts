/**
 * What must be on the disk, said without a disk: the events that were promised, in order, and those
 * whose outcome nobody was told. Compares what a recovery finds with that, and knows which event a
 * key belongs to. Tests only.
 */
import assert from 'node:assert/strict';
import { isDeepStrictEqual } from 'node:util';
import type { ReceiptWindow } from '../../src/dedupe/receipt-window.ts';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import type { PlainEvent } from '../helpers/models/plain-event.ts';
import { ProductModel } from '../helpers/models/product-model.ts';
import type { RecoveredState } from './recovered-state.ts';

/** An event that has its seq and its batch's commit time. */
export interface Committed {
  readonly event: PlainEvent;
  readonly commitTimeMs: number;
}

/** A batch that was on its way to the disk: its events in order, from some seq on. */
export interface Handed {
  readonly firstSeq: number;
  readonly events: readonly PlainEvent[];
}

export class ExpectedLog {
  /** Acknowledged events: seq 1 first. */
  readonly #promised: Committed[] = [];
  /** State after all of them. */
  readonly #model = new ProductModel();
  /** What became of each of them. */
  readonly #outcomes: ReturnType<ProductModel['apply']>[] = [];
  /** Handed to the disk behind them and never answered: one of these batches, or its beginning. */
  #unknown: readonly (readonly PlainEvent[])[] = [];
  /** The promised event of each key: its seq. */
  readonly #keys = new Map<string, number>();
  /** The newest promised receipt of each batch. */
  readonly #receipts = new Map<string, { readonly seq: number; readonly events: number }>();

  get promised(): number {
    return this.#promised.length;
  }

  /** Somebody was told that `event` is durable and has this seq. */
  promise(seq: number, event: PlainEvent, commitTimeMs: number): void {
    assert.equal(seq, this.#promised.length + 1, 'seqs are given in order, without gaps');
    if (event.key !== undefined) {
      const first = this.#keys.get(event.key);
      assert.equal(first, undefined, `key ${event.key} of seq ${first} is there again as ${seq}`);
      this.#keys.set(event.key, seq);
    }
    if (event.receipt !== undefined) {
      this.#receipts.set(event.receipt.key, { seq, events: event.receipt.events });
    }
    this.#promised.push({ event, commitTimeMs });
    this.#outcomes.push(this.#model.apply(numbered(event, seq, commitTimeMs), commitTimeMs));
  }

  /** Somebody was told that `event` is a repetition of the one with this seq. */
  repeat(seq: number, event: PlainEvent): void {
    assert.deepEqual(this.#promised[seq - 1]?.event, event, `a repetition of seq ${seq}`);
  }

  /** Somebody was told that the key of `event` belongs to another. */
  conflict(event: PlainEvent): void {
    const other = this.#promised.findLast((promised) => promised.event.key === event.key);
    assert.ok(other !== undefined, `key ${event.key} is not known`);
    assert.notDeepEqual(other.event, event);
  }

  /** When the batch of a promised event was committed; `undefined` for other seqs. */
  commitTimeOf(seq: number): number | undefined {
    return this.#promised[seq - 1]?.commitTimeMs;
  }

  /** A process ended while one of these was on its way to the disk. */
  leaveUnknown(handed: readonly Handed[]): void {
    this.#unknown = handed.map(({ firstSeq, events }) =>
      events.slice(Math.max(0, this.promised + 1 - firstSeq)),
    );
  }

  /**
   * Asserts that `found` is all that was promised and nothing else, but perhaps the first of the
   * unknown. Returns those. `mayForgetOutcomes`: then none is wrong, but some may be unknown.
   */
  check(found: RecoveredState, mayForgetOutcomes = false): readonly Committed[] {
    const events = found.nextSeq - 1;
    assert.ok(events >= this.promised, `lost: ${events} of ${this.promised} promised events left`);
    const arrived = events - this.promised;
    const unknown = this.#arrived(found, arrived);
    this.#checkEvents(found, unknown);
    const model = this.#model.copy();
    const outcomes = [...this.#outcomes];
    const adopted = unknown.map((event, i) => {
      const seq = this.promised + i + 1;
      const commitTimeMs = found.events.get(seq)?.commitTimeMs;
      assert.ok(commitTimeMs !== undefined, `seq ${seq} is in a checkpoint and was not committed`);
      outcomes.push(model.apply(numbered(event, seq, commitTimeMs), commitTimeMs));
      return { event, commitTimeMs };
    });
    found.assertState(model);
    found.assertOutcomes(outcomes, mayForgetOutcomes);
    return adopted;
  }

  /** As `check`, and then what was found is promised: readers see it. */
  adopt(found: RecoveredState): void {
    for (const { event, commitTimeMs } of this.check(found)) {
      this.promise(this.promised + 1, event, commitTimeMs);
    }
    this.#unknown = [];
    this.checkReceipts(found.receiptWindow);
  }

  /** Asserts that the newest receipt of every batch is known, or one that is not promised yet. */
  checkReceipts(known: ReceiptWindow): void {
    for (const [key, { seq, events }] of this.#receipts) {
      const receipt = known.find(fingerprintKey('request', key));
      assert.ok(receipt !== undefined && receipt !== 'busy', `the receipt of ${key} is ${receipt}`);
      assert.ok(receipt.seq >= seq, `${key} is known by seq ${receipt.seq}, not by ${seq}`);
      if (receipt.seq === seq) assert.equal(receipt.events, events);
      else assert.ok(receipt.seq > this.promised, `seq ${receipt.seq} is no receipt of ${key}`);
    }
  }

  /** Asserts that `found` is exactly what was promised before seq `end`. */
  checkCut(found: RecoveredState, end: number): void {
    assert.equal(found.nextSeq, end);
    this.#checkEvents(found, []);
    const model = new ProductModel();
    for (const [i, { event, commitTimeMs }] of this.#promised.slice(0, end - 1).entries()) {
      model.apply(numbered(event, i + 1, commitTimeMs), commitTimeMs);
    }
    found.assertState(model);
  }

  /** The beginning of the unknown batch that `found` has behind what was promised. */
  #arrived(found: RecoveredState, count: number): readonly PlainEvent[] {
    if (count === 0) return [];
    const candidates = this.#unknown.filter((events) => events.length >= count);
    const isFound = (event: PlainEvent, i: number) => {
      const seq = this.promised + i + 1;
      const there = found.events.get(seq);
      const expected = asLogged(event, seq, there?.commitTimeMs ?? 0);
      return i >= count || isDeepStrictEqual(there?.event, expected);
    };
    const match = candidates.find((events) => events.every(isFound));
    assert.ok(match !== undefined, `${count} events appeared from nowhere`);
    return match.slice(0, count);
  }

  #checkEvents(found: RecoveredState, unknown: readonly PlainEvent[]): void {
    let before = 0;
    for (const [seq, { event, commitTimeMs }] of found.events) {
      assert.ok(before === 0 || seq === before + 1, `seq ${seq} after ${before}`);
      before = seq;
      const promised = this.#promised[seq - 1];
      const expected = promised?.event ?? unknown[seq - 1 - this.promised];
      assert.ok(expected !== undefined, `seq ${seq} is not expected`);
      assert.deepEqual(event, asLogged(expected, seq, commitTimeMs), `seq ${seq}`);
      if (promised !== undefined) assert.equal(commitTimeMs, promised.commitTimeMs);
    }
    if (found.nextSeq > found.replayFrom) assert.equal(before, found.nextSeq - 1);
  }
}

/** The event as it was committed: one without a time of its own has that of its batch. */
function numbered(event: PlainEvent, seq: number, commitTimeMs: number): PlainEvent {
  return event.isArrival ? { ...event, seq, occurredAtMs: commitTimeMs } : { ...event, seq };
}

/** What a slot of the log says of an event: of its key there is only a fingerprint. */
function asLogged(event: PlainEvent, seq: number, commitTimeMs: number): PlainEvent {
  const {
    key: _,
    isArrival: __,
    receipt: ___,
    reserved: ____,
    ...logged
  } = numbered(event, seq, commitTimeMs);
  return logged;
}
