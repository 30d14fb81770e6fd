#!/usr/bin/env node
/**
 * The process: arguments, environment, signals, exit codes. Everything else is service.ts's, or
 * maintenance/'s for the commands on a data folder.
 * Exit codes: 0 stopped cleanly (or helped, or checked), 1 failed, 2 wrong usage or configuration;
 * a command's own stand in maintenance/commands.ts.
 */
import { flushCompileCache } from 'node:module';
import { parseArgs } from 'node:util';
import { type Logger, pino } from 'pino';
import { readDotEnv } from './config/dot-env.ts';
import { loadConfig } from './config/load.ts';
import { helpText } from './config/reference.ts';
import type { Config } from './config/schema.ts';
import type { Arguments, Command } from './maintenance/commands.ts';
import { Service } from './service.ts';

/**
 * npm passes a signal on to its child, which a terminal has already sent it to: what comes again
 * so soon is the same Ctrl-C, not a second one.
 */
const SAME_SIGNAL_MS = 100;

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** Loaded for a command or the help only: a start needs nothing of it. */
const commandTable = () => import('./maintenance/commands.ts');

/** One line on standard error, and the end. */
function quit(code: number, reason: string): never {
  process.stderr.write(`product-service: ${reason.replaceAll('\n', ' ')}\n`);
  process.exit(code);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface CommandLine extends Arguments {
  readonly help: boolean;
  readonly checkConfig: boolean;
  /** `undefined` = run the service. */
  readonly command: Command | undefined;
}

async function readArguments(): Promise<CommandLine> {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean', short: 'h', default: false },
        'check-config': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        to: { type: 'string' },
      },
    });
    const [name, ...folders] = positionals;
    const { help, json, to, 'check-config': checkConfig } = values;
    const command = name === undefined ? undefined : await commandOf(name);
    if (command === undefined && (json || to !== undefined)) {
      throw new Error('--json and --to belong to commands');
    }
    return { help, checkConfig, command, folders, json, to };
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
    return loadConfig({ ...readDotEnv('.env'), ...process.env });
  } catch (error) {
    return quit(EXIT_USAGE, message(error));
  }
}

/** Stops on the first signal, exits at once on the second. */
function stopOnSignals(service: Service, logger: Logger, config: Config): void {
  let firstMs: number | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    if (firstMs !== undefined) {
      if (performance.now() - firstMs < SAME_SIGNAL_MS) return;
      logger.warn({ signal }, 'second signal: exiting at once');
      process.exit(EXIT_FAILED);
    }
    firstMs = performance.now();
    logger.info({ signal }, 'stopping');
    void stop(service, logger, config, 0);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

async function stop(
  service: Service,
  logger: Logger,
  config: Config,
  codeIfClean: number,
): Promise<never> {
  // service.stop keeps to the same time; this is for a service that can't.
  setTimeout(() => {
    logger.fatal('stopping took longer than SHUTDOWN_TIMEOUT');
    process.exit(EXIT_FAILED);
  }, config.shutdownTimeoutMs).unref();
  const isClean = await service.stop();
  if (!isClean) logger.error('stopped, but not all events that were claimed could be stored');
  else logger.info('stopped');
  process.exit(isClean ? codeIfClean : EXIT_FAILED);
}

async function run(config: Config): Promise<void> {
  // Synchronous: the last lines before an exit must not get lost.
  const logger = pino({ level: config.logLevel }, pino.destination({ dest: 1, sync: true }));
  let service: Service;
  try {
    service = await Service.start({ config, logger });
  } catch (error) {
    return quit(EXIT_FAILED, message(error));
  }
  stopOnSignals(service, logger, config);
  try {
    await service.ready();
  } catch (error) {
    if (service.phase !== 'starting') return;
    process.stderr.write(`product-service: ${message(error).replaceAll('\n', ' ')}\n`);
    await stop(service, logger, config, EXIT_FAILED);
  }
  if (service.phase !== 'ready') return;
  logger.info(`ready on http://${config.host}:${service.port}`);
  // At the exit comes too late for a process that is killed; the threads do the same.
  flushCompileCache();
  const reason = await service.failed;
  logger.fatal({ reason }, 'the service can not go on');
  await stop(service, logger, config, EXIT_FAILED);
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

const { help, checkConfig, command, ...rest } = await readArguments();
if (help) {
  process.stdout.write(helpText((await commandTable()).COMMANDS));
} else if (command !== undefined && !checkConfig) {
  await runCommand(command, rest);
} else {
  const config = readConfig();
  if (checkConfig) process.stdout.write('configuration is valid\n');
  else await run(config);
}
