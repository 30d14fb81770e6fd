/** Entry of an applier's thread: a Piscina task that ends when the commit ring is closed. */
import { flushCompileCache } from 'node:module';
import { runApplier } from '../src/apply/applier.ts';
import type { ApplierEnd, ApplierTask } from '../src/apply/applier-task.ts';
import { RestoreBoard } from '../src/store/restore-board.ts';

export default async function applier(task: ApplierTask): Promise<ApplierEnd> {
  if (new RestoreBoard(task.memory.board).isOpen) {
    // Loaded only where there is something to restore.
    const { helpRestore } = await import('../src/checkpoint/restore-help.ts');
    const { filesOf } = await import('../src/log/held-files.ts');
    helpRestore(task, filesOf(task.held));
  }
  // Now: this thread is not asked again before it is ended.
  flushCompileCache();
  return runApplier(task);
}
