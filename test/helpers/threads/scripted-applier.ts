/** Entry of an applier whose thread dies where a script says; see `applier-script.ts`. */
import { runApplier } from '../../../src/apply/applier.ts';
import type { ApplierEnd, ApplierTask } from '../../../src/apply/applier-task.ts';
import { SLOT_DOUBLES, SLOT_PRICE } from '../../../src/ring/slot.ts';
import {
  ARM_AFTER,
  ARM_OPS,
  OPS_LEFT,
  POISON,
  POISON_DEATHS,
  POISON_DEATHS_LEFT,
  START_DEATHS_LEFT,
  THROWS,
  type WithScript,
} from './applier-script.ts';

const { add, load, notify, store, sub } = Atomics;

function die(script: Int32Array, what: string): never {
  if (load(script, THROWS) === 1) throw new Error(what);
  process.exit(1);
}

/** From now on every operation that other threads can see is counted, and may be the last. */
function countOperations(script: Int32Array): void {
  const step = () => {
    if (load(script, OPS_LEFT) > 0 && sub(script, OPS_LEFT, 1) === 1) die(script, 'scripted death');
  };
  type Words = Int32Array<ArrayBufferLike>;
  Atomics.store = ((words: Words, index: number, value: number) => {
    step();
    return store(words, index, value);
  }) as typeof Atomics.store;
  Atomics.add = ((words: Words, index: number, value: number) => {
    step();
    return add(words, index, value);
  }) as typeof Atomics.add;
  Atomics.notify = ((words: Words, index: number, count?: number) => {
    step();
    return notify(words as Int32Array, index, count);
  }) as typeof Atomics.notify;
}

export default function applier(task: ApplierTask): ApplierEnd {
  const { script } = task.memory as typeof task.memory & WithScript;
  countOperations(script);
  if (load(script, POISON_DEATHS) > 0 && load(script, START_DEATHS_LEFT) > 0) {
    sub(script, START_DEATHS_LEFT, 1);
    die(script, 'death at the start');
  }
  if (load(script, ARM_OPS) > 0 && load(script, POISON_DEATHS) === load(script, ARM_AFTER)) {
    store(script, OPS_LEFT, load(script, ARM_OPS));
    store(script, ARM_OPS, 0);
  }
  return runApplier(task, (apply, ring) => (cursor, index, commitTimeMs) => {
    if (
      ring.slots.doubles[index * SLOT_DOUBLES + SLOT_PRICE] === POISON &&
      load(script, POISON_DEATHS_LEFT) > 0
    ) {
      sub(script, POISON_DEATHS_LEFT, 1);
      add(script, POISON_DEATHS, 1);
      die(script, 'poisoned');
    }
    return apply(cursor, index, commitTimeMs);
  });
}
