/**
 * Entry of an applier that dies of events with certain prices: of DEADLY_ONCE the first time only,
 * of DEADLY_ALWAYS every time. It ends its thread in the middle of the event, as a crash does.
 */
import { getEnvironmentData } from 'node:worker_threads';
import { runApplier } from '../../../src/apply/applier.ts';
import type { ApplierEnd, ApplierTask } from '../../../src/apply/applier-task.ts';
import { SLOT_DOUBLES, SLOT_PRICE } from '../../../src/ring/slot.ts';
import { DEADLY_ALWAYS, DEADLY_ONCE, DEATHS_KEY } from './deadly-prices.ts';

export default function applier(task: ApplierTask): ApplierEnd {
  const deaths = new Int32Array(getEnvironmentData(DEATHS_KEY) as unknown as SharedArrayBuffer);
  return runApplier(task, (apply, ring) => (cursor, index, commitTimeMs) => {
    const price = ring.slots.doubles[index * SLOT_DOUBLES + SLOT_PRICE];
    const isDeadly =
      price === DEADLY_ALWAYS || (price === DEADLY_ONCE && Atomics.load(deaths, 0) === 0);
    if (isDeadly) {
      Atomics.add(deaths, 0, 1);
      process.exit(1);
    }
    return apply(cursor, index, commitTimeMs);
  });
}
