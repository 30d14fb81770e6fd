/**
 * What the command line asks for: the service and what is done to its data folder are the process's
 * (src/process), everything that talks to a running service is a command of commands.ts. A start of the
 * service loads nothing of either table. Main thread; ends the process.
 */
import { runProgram as runProcess } from '../process/program.ts';
import type { Signals } from '../process/signals.ts';

export async function runProgram(signals: Signals): Promise<void> {
  const args = process.argv.slice(2);
  const [first] = args;
  const isPlainStart = first === undefined || (first === 'serve' && args.length === 1);
  if (isPlainStart) return runProcess(signals, []);
  const { dispatch } = await import('./dispatch.ts');
  const rest = await dispatch(signals, args);
  if (rest !== undefined) await runProcess(signals, rest);
}
