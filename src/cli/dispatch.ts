/**
 * Finds the command that is meant, reads its options, answers --help, runs it, and turns its errors into
 * one line and an exit code. Main thread; ends the process.
 */
import { parseArgs } from 'node:util';
import type { Signals } from '../process/signals.ts';
import {
  CommandError,
  type CommandSpec,
  EXIT_DONE,
  EXIT_FAILED,
  EXIT_USAGE,
  messageOf,
  type OptionValues,
  quoted,
  UsageError,
} from './command.ts';
import { COMMANDS, HELP_OPTION } from './commands.ts';

/** What the process itself knows of these two is an option. */
const AS_OPTION: Readonly<Record<string, readonly string[]>> = {
  serve: [],
  'check-config': ['--check-config'],
};

/** Loaded for somebody who asks: the program's help has all variables of the service. */
const help = () => import('./command-help.ts');

/** Runs what `args` ask for; returns what is left to the process (src/process), `undefined` = nothing. */
export async function dispatch(
  signals: Signals,
  args: readonly string[],
): Promise<readonly string[] | undefined> {
  const [first = '', ...rest] = args;
  const command = COMMANDS.find(({ name }) => name === first);
  const wantsHelp = args.includes('--help') || args.includes('-h');
  if (command === undefined) {
    if (wantsHelp && first.startsWith('-')) return printed((await help()).programHelp());
    if (first === 'help') return printed(await helpOn(rest));
    return args;
  }
  if (wantsHelp) return printed((await help()).commandHelp(command));
  if (command.load === undefined) {
    const option = AS_OPTION[command.name];
    return option === undefined ? args : [...option, ...rest];
  }
  signals.release();
  endQuietlyWithoutReader();
  process.exitCode = await codeOf(command, rest);
  return undefined;
}

function printed(text: string): undefined {
  process.stdout.write(text);
}

async function helpOn([name, ...more]: readonly string[]): Promise<string> {
  const { commandHelp, programHelp } = await help();
  if (name === undefined) return programHelp();
  const command = COMMANDS.find((known) => known.name === name);
  if (command === undefined || more.length > 0) {
    fail(`there is no command ${quoted([name, ...more].join(' '))}; see --help`);
    process.exit(EXIT_USAGE);
  }
  return commandHelp(command);
}

async function codeOf(command: CommandSpec, args: readonly string[]): Promise<number> {
  try {
    const { values, operands } = read(command, args);
    const module = await command.load?.();
    return (await module?.run({ values, operands, environment: process.env })) ?? EXIT_DONE;
  } catch (error) {
    if (error instanceof UsageError) {
      fail(`${error.message}; see product-service ${command.name} --help`);
      return EXIT_USAGE;
    }
    fail(messageOf(error));
    return error instanceof CommandError ? error.code : EXIT_FAILED;
  }
}

function read(command: CommandSpec, args: readonly string[]) {
  const options = Object.fromEntries(
    [...command.options, HELP_OPTION].map(({ name, short, value }) => [
      name,
      {
        type: value === undefined ? ('boolean' as const) : ('string' as const),
        ...(short === undefined ? {} : { short }),
      },
    ]),
  );
  try {
    const { values, positionals } = parseArgs({
      args: withNegatives(args),
      options,
      allowPositionals: true,
    });
    refuseOperands(command, positionals);
    return { values: values as OptionValues, operands: positionals };
  } catch (error) {
    throw new UsageError(messageOf(error).replace(/\. To specify.*$/, ''));
  }
}

function refuseOperands({ name, operands }: CommandSpec, [first]: readonly string[]): void {
  if (operands !== '' || first === undefined) return;
  throw new UsageError(`${name} takes nothing but options, not ${quoted(first)}`);
}

/** `--stock -1` as `--stock=-1`: parseArgs takes a value that begins with a dash for an option. */
function withNegatives(args: readonly string[]): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const before = joined.at(-1);
    if (before !== undefined && /^--[a-z-]+$/.test(before) && /^-\d/.test(arg)) {
      joined[joined.length - 1] = `${before}=${arg}`;
    } else joined.push(arg);
  }
  return joined;
}

/** One line on standard error. */
function fail(reason: string): void {
  process.stderr.write(`product-service: ${reason.replaceAll('\n', ' ')}\n`);
}

/** `product-service export | head`: who stops reading has what they want. */
function endQuietlyWithoutReader(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') fail(`standard output: ${error.message}`);
    process.exit(error.code === 'EPIPE' ? EXIT_DONE : EXIT_FAILED);
  });
}
