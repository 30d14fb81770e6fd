/**
 * What the command line asks for: the service and what is done to its data folder are the process's
 * (src/process), everything that talks to a running service is a command of commands.ts. A start of the
 * service loads nothing of either table, and such a command nothing of the service. Main thread; ends the process.
 */
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

/** The configuration alone is hundreds of modules, which a command that talks to a service needs none of. */
async function runProcess(signals: Signals, args: readonly string[]): Promise<void> {
  const { runProgram } = await import('../process/program.ts');
  await runProgram(signals, args);
}
