/** Entry of an applier's thread: a Piscina task that ends when the commit ring is closed. */
import { runApplier } from '../src/apply/applier.ts';
import type { ApplierEnd, ApplierTask } from '../src/threads/shared-memory.ts';

export default function applier(task: ApplierTask): ApplierEnd {
  return runApplier(task);
}
