/** Entry of an applier's thread: a Piscina task that ends when the commit ring is closed. */
import { flushCompileCache } from 'node:module';
import { runApplier } from '../src/apply/applier.ts';
import type { ApplierEnd, ApplierTask } from '../src/apply/applier-task.ts';

export default function applier(task: ApplierTask): ApplierEnd {
  // Now: this thread is not asked again before it is ended.
  flushCompileCache();
  return runApplier(task);
}
