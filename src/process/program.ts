/**
 * What the process itself does: the service, a command on a data folder, a check. Main
 * thread; with run-service.ts and src/cli the only place that reads the environment and ends the process.
 * Exit codes: 0 stopped cleanly (or checked), 1 failed, 2 wrong usage or configuration;
 * a command's own stand in maintenance/commands.ts.
 */
import { parseArgs } from 'node:util';
import { configuredKeys } from '../auth/configured-keys.ts';
import { readDotEnv } from '../config/dot-env.ts';
import { loadConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { withSecretFiles } from '../config/secret-files.ts';
import type { Arguments, Command } from '../maintenance/commands.ts';
import type { Signals } from './signals.ts';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Loaded for a command only: a start needs nothing of it. */
const commandTable = () => import('../maintenance/commands.ts');

interface CommandLine extends Arguments {
  readonly version: boolean;
  readonly checkConfig: boolean;
  /** `undefined` = run the service. */
  readonly command: Command | undefined;
}

/** Does what `args` ask for, without the program's name; the help is src/cli's. */
export async function runProgram(signals: Signals, args: readonly string[]): Promise<void> {
  const { version, checkConfig, command, ...rest } = await readArguments(args);
  if (version) {
    process.stdout.write((await import('./version.ts')).versionText());
  } else if (command !== undefined && !checkConfig) {
    signals.release();
    await runCommand(command, rest);
  } else if (checkConfig) {
    await checkConfiguration();
  } else {
    const config = readConfig();
    const { runService } = await import('./run-service.ts');
    await runService(config, signals);
  }
}

async function readArguments(args: readonly string[]): Promise<CommandLine> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        version: { type: 'boolean', short: 'v', default: false },
        'check-config': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        to: { type: 'string' },
      },
    });
    const [name, ...folders] = positionals;
    const { version, json, to, 'check-config': checkConfig } = values;
    const command = name === undefined ? undefined : await commandOf(name);
    if (command === undefined && (json || to !== undefined)) {
      throw new Error('--json and --to belong to commands');
    }
    return { version, checkConfig, command, folders, json, to };
  } catch (error) {
    return quit(EXIT_USAGE, `${message(error)}; see --help`);
  }
}

async function commandOf(name: string): Promise<Command> {
  const { COMMANDS } = await commandTable();
  const command = COMMANDS.find((known) => known.name === name);
  if (command === undefined) throw new Error(`there is no command ${JSON.stringify(name)}`);
  return command;
}

function readConfig(): Config {
  try {
    const config = loadConfig(withSecretFiles({ ...readDotEnv('.env'), ...process.env }));
    configuredKeys(config);
    return config;
  } catch (error) {
    return quit(EXIT_USAGE, message(error));
  }
}

/** Also whether it fits this machine: a start would refuse it for the same reasons. */
async function checkConfiguration(): Promise<void> {
  const config = readConfig();
  const { traceSettings } = await import('../tracing/trace-settings.ts');
  try {
    traceSettings(process.env);
  } catch (error) {
    quit(EXIT_USAGE, message(error));
  }
  const [{ fitOf }, { readMachine }] = await Promise.all([
    import('./limits.ts'),
    import('./machine.ts'),
  ]);
  const { faults, warnings } = fitOf(config, readMachine());
  if (faults.length > 0) quit(EXIT_USAGE, faults.join('; '));
  for (const warning of warnings) process.stderr.write(`product-service: ${warning}\n`);
  process.stdout.write('configuration is valid\n');
}

async function runCommand(command: Command, args: Arguments): Promise<void> {
  const { UsageError, UnreadableError } = await commandTable();
  try {
    const { code, text } = command.run(args, readConfig);
    process.stdout.write(text);
    process.exitCode = code;
  } catch (error) {
    if (error instanceof UsageError) quit(EXIT_USAGE, `${message(error)}; see --help`);
    quit(error instanceof UnreadableError ? EXIT_USAGE : EXIT_FAILED, message(error));
  }
}

/** One line on standard error, and the end. */
function quit(code: number, reason: string): never {
  process.stderr.write(`product-service: ${reason.replaceAll('\n', ' ')}\n`);
  process.exit(code);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
