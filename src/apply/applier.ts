/**
 * The loop of one applier: reads every committed slot, applies those of its own shards, publishes
 * its cursor. It is the only writer of its shards. Runs in a thread of the Piscina pool.
 */

import { ApplierCounters, OUTCOMES_COUNTED } from '../metrics/thread-counters.ts';
import {
  OUTCOME_APPLIED,
  OUTCOME_DEAD,
  OUTCOME_RECEIPT,
  OUTCOME_REFUSED,
  OUTCOME_STALE,
  OUTCOME_UNKNOWN,
  OutcomeWindow,
} from '../outcome/outcome-window.ts';
import {
  COMMIT_BELL_BACK,
  COMMIT_CLOSED,
  COMMIT_DOORBELL,
  COMMIT_HEAD,
  CommitRing,
  commitCursor,
} from '../ring/commit-ring.ts';
import { sleepUntilRung } from '../ring/sleep.ts';
import { SLOT_DOUBLES, SLOT_SEQ } from '../ring/slot.ts';
import { FreeingBounds } from '../store/freeing-bounds.ts';
import { PlaceSweep, ReplayPlaces } from '../store/place-sweep.ts';
import { RestoredBefore } from '../store/restored-before.ts';
import { Shard, shardOfRoute } from '../store/shard.ts';
import { type ApplyResult, PREFETCH_SLOTS, ShardWriter } from '../store/shard-writer.ts';
import { ApplierControl } from './applier-control.ts';
import type { ApplierEnd, ApplierTask } from './applier-task.ts';

/** Applies one slot of the commit ring. Tests wrap it to die at a chosen event. */
export type ApplySlot = (cursor: number, index: number, commitTimeMs: number) => ApplyResult;

/** What an event's byte says then. */
export const OUTCOME_OF: Readonly<Record<Exclude<ApplyResult, 'no-room'>, number>> = {
  applied: OUTCOME_APPLIED,
  stale: OUTCOME_STALE,
  refused: OUTCOME_REFUSED,
  // Only at a replay, after which the checkpoint says what it was (checkpoint/windows.ts). The place
  // in the window may hold the outcome of a much earlier event, which is not this one's.
  overtaken: OUTCOME_UNKNOWN,
  receipt: OUTCOME_RECEIPT,
  // Notes of the service's own, as a receipt is one.
  forgotten: OUTCOME_RECEIPT,
  kept: OUTCOME_RECEIPT,
};

/** Which applier owns a shard. */
export function ownerOf(shard: number, appliers: number): number {
  return shard % appliers;
}

/** Runs until the ring is closed. Blocks its thread. `wrap` is for tests. */
export function runApplier(
  { memory, index }: ApplierTask,
  wrap: (apply: ApplySlot, ring: CommitRing) => ApplySlot = (apply) => apply,
): ApplierEnd {
  const ring = new CommitRing(memory.commit, memory.appliers.length);
  const shards = memory.shards.map((buffer) => new Shard(buffer));
  const owned = shards.map((_, shard) => ownerOf(shard, ring.appliers) === index);
  const control = new ApplierControl(memory.appliers[index]);
  const bounds = new FreeingBounds(memory.freeing);
  const replayPlaces = new ReplayPlaces(shards, bounds);
  const writer = new ShardWriter(shards, ring.slots, control.undo, (shard, seq) =>
    replayPlaces.next(shard, seq),
  );
  const sweep = new PlaceSweep(
    shards,
    shards.flatMap((_, shard) => (owned[shard] ? [shard] : [])),
    bounds,
    writer.places,
  );
  const apply = wrap((cursor, slot, time) => writer.apply(cursor, slot, time), ring);

  const counters = new ApplierCounters(memory.counters, index);
  counters.takeOver();
  /** Of the slots at hand. */
  const outcomeCounts = new Int32Array(OUTCOMES_COUNTED);

  const { cursors, mask, commitTimes, routes } = ring;
  const { doubles } = ring.slots;
  const outcomes = new OutcomeWindow(memory.outcomes);
  const own = commitCursor(index);
  const ownCursors = new Int32Array(PREFETCH_SLOTS);
  const ownSlots = new Int32Array(PREFETCH_SLOTS);
  const restored = new RestoredBefore(memory.restored);
  /** Replayed events before this seq may be in the restored shards; 0 = none are, from here on. */
  let restoredEnd = Number.POSITIVE_INFINITY;
  const isRestored = (slot: number, shard: number) => {
    const seq = doubles[slot * SLOT_DOUBLES + SLOT_SEQ];
    if (restoredEnd === Number.POSITIVE_INFINITY) restoredEnd = restored.end;
    if (seq >= restoredEnd) restoredEnd = 0;
    if (!restored.has(shard, seq)) return false;
    // As of an overtaken one.
    outcomes.store(seq, OUTCOME_UNKNOWN);
    return true;
  };
  const publish = (cursor: number) => Atomics.store(cursors, own, cursor);
  let cursor = Atomics.load(cursors, own);
  const ringBell = () => {
    Atomics.add(cursors, COMMIT_BELL_BACK, 1);
    Atomics.notify(cursors, COMMIT_BELL_BACK);
  };
  // A predecessor may have died in the middle of a slot, or behind one with the bell not yet rung.
  writer.undo(cursor);
  control.resume(cursor);
  ringBell();

  for (;;) {
    // Bell, then closed, then head: whatever comes after these loads rings the bell.
    const bell = Atomics.load(cursors, COMMIT_DOORBELL);
    const closed = Atomics.load(cursors, COMMIT_CLOSED) === 1;
    // Pairs with the log thread's Atomics.store of the head, after it wrote the slots.
    const head = Atomics.load(cursors, COMMIT_HEAD);
    const freed = sweep.step();
    if (freed > 0) counters.addFreed(freed);
    if (cursor === head) {
      if (closed) return 'closed';
      if (freed >= 0) continue;
      counters.beginWait();
      sleepUntilRung(cursors, COMMIT_DOORBELL, bell);
      counters.endWait();
      continue;
    }
    while (cursor !== head) {
      let count = 0;
      for (; cursor !== head && count < PREFETCH_SLOTS; cursor = (cursor + 1) | 0) {
        const shard = shardOfRoute(routes[cursor & mask], shards.length);
        if (!owned[shard] || (restoredEnd > 0 && isRestored(cursor & mask, shard))) continue;
        ownCursors[count] = cursor;
        ownSlots[count++] = cursor & mask;
      }
      writer.prefetch(ownSlots, count);
      for (let i = 0; i < count; i++) {
        const cursor = ownCursors[i];
        const slot = ownSlots[i];
        control.begin(cursor);
        const isDead = control.skips(cursor);
        let outcome = OUTCOME_DEAD;
        if (isDead) {
          writer.releaseOnly(cursor, slot);
        } else {
          const result = apply(cursor, slot, commitTimes[slot]);
          if (result === 'no-room') return 'no-room';
          if (result === 'forgotten') counters.addForgotten(1);
          outcome = OUTCOME_OF[result];
        }
        // Before the cursor: whoever sees the event under the watermark sees its outcome.
        outcomes.store(doubles[slot * SLOT_DOUBLES + SLOT_SEQ], outcome);
        outcomeCounts[outcome]++;
        // Before the last of them is published: who sees all of them applied sees them counted.
        if (i === count - 1) counters.addOutcomes(outcomeCounts);
        // Pairs with the log thread's Atomics.load in backlog(): the slot may now be overwritten.
        publish((cursor + 1) | 0);
        // Not before: a successor that found no order would apply the event.
        if (isDead) control.skipped();
        control.end();
      }
    }
    publish(cursor);
    ringBell();
  }
}
