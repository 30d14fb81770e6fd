/**
 * What a command of the command line is: as the table in commands.ts lists it, as it is run, and how it
 * ends. Types, exit codes and the two errors that become one line. Main thread.
 */

/** All done as asked. */
export const EXIT_DONE = 0;
/** Not done: the service can't be reached or refuses, a file can't be read. */
export const EXIT_FAILED = 1;
/** Wrong usage or configuration: nothing was tried. */
export const EXIT_USAGE = 2;
/** Done in part: lines were refused, products are unknown, a condition did not hold. */
export const EXIT_PARTIAL = 3;

/** Done as far as it goes now: the service does the rest by itself. */
export const EXIT_QUEUED = 4;

export interface OptionSpec {
  readonly name: string;
  readonly short?: string;
  /** What its value is called in the help; absent = it takes none. */
  readonly value?: string;
  /** All values it takes, where these are few; the completion offers them. */
  readonly choices?: readonly string[];
  /** One sentence without a full stop. */
  readonly description: string;
}

export interface Example {
  readonly command: string;
  readonly what: string;
}

export interface CommandSpec {
  readonly name: string;
  /** What stands behind the name, without the options. */
  readonly operands: string;
  /** Whether these name files, which the completion then offers. */
  readonly takesFiles?: boolean;
  /** One sentence without a full stop. */
  readonly summary: string;
  readonly options: readonly OptionSpec[];
  readonly examples: readonly Example[];
  /** What its exit codes mean beyond 0, 1 and 2 as for all. */
  readonly exits?: string;
  /** Its module; absent for what the process itself does (src/process). */
  readonly load?: () => Promise<CommandModule>;
}

export interface CommandModule {
  /** Runs it to its end; returns the exit code. Throws UsageError or CommandError. */
  readonly run: (context: CommandContext) => Promise<number>;
}

export type OptionValues = Readonly<Record<string, string | boolean | undefined>>;

export interface CommandContext {
  readonly values: OptionValues;
  readonly operands: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** Wrong usage: one line, EXIT_USAGE. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** It can't go on: one line, EXIT_FAILED or the code that is given. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError';
  readonly code: number;

  constructor(message: string, code = EXIT_FAILED) {
    super(message);
    this.code = code;
  }
}

/** The text of an option that takes one. */
export function textOf(values: OptionValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

export function hasFlag(values: OptionValues, name: string): boolean {
  return values[name] === true;
}

/** The value of an option that takes one of `choices`. */
export function choiceOf<T extends string>(
  values: OptionValues,
  name: string,
  choices: readonly T[],
): T | undefined {
  const text = textOf(values, name);
  if (text === undefined) return undefined;
  const choice = choices.find((known) => known === text);
  if (choice === undefined) {
    throw new UsageError(`--${name} must be one of ${choices.join(', ')}, not ${quoted(text)}`);
  }
  return choice;
}

/** The value of an option that takes a whole number of 0 or more. */
export function countOf(values: OptionValues, name: string): number | undefined {
  const text = textOf(values, name);
  if (text === undefined) return undefined;
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count)) {
    throw new UsageError(`--${name} must be a whole number, not ${quoted(text)}`);
  }
  return count;
}

export function quoted(text: string): string {
  return JSON.stringify(text);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
