/** Entry of an applier that waits at a gate before events of one price; see `applier-gate.ts`. */
import { runApplier } from '../../../src/apply/applier.ts';
import type { ApplierEnd, ApplierTask } from '../../../src/apply/applier-task.ts';
import { SLOT_DOUBLES, SLOT_PRICE } from '../../../src/ring/slot.ts';
import { GATED_PRICE, receivedGate } from './applier-gate.ts';

export default function applier(task: ApplierTask): ApplierEnd {
  const gate = receivedGate();
  return runApplier(task, (apply, ring) => (cursor, index, commitTimeMs) => {
    if (ring.slots.doubles[index * SLOT_DOUBLES + SLOT_PRICE] === GATED_PRICE) gate.pass();
    return apply(cursor, index, commitTimeMs);
  });
}
