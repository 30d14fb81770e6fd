/** The tools on data folders, run in the test's own process as main.ts runs them. */
import { loadConfig } from '../../../src/config/load.ts';
import { COMMANDS, type Outcome } from '../../../src/maintenance/commands.ts';

/** Runs a command with the folders and options that follow its name. */
export function runCommand(name: string, ...args: readonly string[]): Outcome {
  const command = COMMANDS.find((known) => known.name === name);
  if (command === undefined) throw new Error(`no command ${name}`);
  const to = args.indexOf('--to');
  const folders = args.filter((arg, i) => !arg.startsWith('--') && (to === -1 || i !== to + 1));
  return command.run(
    { folders, to: to === -1 ? undefined : args[to + 1], json: args.includes('--json') },
    () => loadConfig({ MAX_MEMORY_USAGE: '16MB', SHARDS: '8' }),
  );
}
