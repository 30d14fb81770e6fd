/**
 * The tools as the command line calls them: name, arguments, what they print, how they end. What the help
 * says of them stands in cli/commands.ts.
 * Knows nothing of the process: process/program.ts parses, prints and exits. Main thread.
 */
import { existsSync } from 'node:fs';
import { resolve, sep } from 'node:path';
import type { Config } from '../config/schema.ts';
import { planStore } from '../store/sizing.ts';
import { backup } from './backup.ts';
import { isDataFolder, REPAIR_REPORT_NAME } from './inspection.ts';
import { removeAbandoned } from './partial-folder.ts';
import { ReadOnlyFiles } from './read-only-files.ts';
import { repair } from './repair.ts';
import { repairText } from './repair-report.ts';
import { UnreadableError } from './unreadable-error.ts';
import { verify } from './verify.ts';
import { summarize, verifyText } from './verify-report.ts';

export { UnreadableError };

export const EXIT_GOOD = 0;
export const EXIT_FAILED = 1;
/** Wrong usage, no data folder, or one that can't be read as it is run: nothing was found out. */
export const EXIT_USAGE = 2;
/** `repair` only: repaired, but something was lost or may have been. */
export const EXIT_LOST = 3;

export interface Arguments {
  /** What stands behind the command's name. */
  readonly folders: readonly string[];
  readonly to: string | undefined;
  readonly json: boolean;
}

export interface Outcome {
  readonly code: number;
  /** For standard output; ends with a newline. */
  readonly text: string;
}

/** Wrong usage: one line. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export interface Command {
  readonly name: string;
  /** `readConfig` is called only by what needs it. Throws UsageError. */
  readonly run: (args: Arguments, readConfig: () => Config) => Outcome;
}

export const COMMANDS: readonly Command[] = Object.freeze([
  { name: 'verify', run: runVerify },
  { name: 'repair', run: runRepair },
  { name: 'backup', run: runBackup },
]);

function runVerify(args: Arguments, readConfig: () => Config): Outcome {
  if (args.to !== undefined) throw new UsageError('verify takes no --to');
  const root = dataDirOf(args, readConfig);
  const summary = summarize(verify(new ReadOnlyFiles(), root));
  const text = args.json ? `${JSON.stringify(summary, undefined, 2)}\n` : verifyText(summary);
  return { code: summary.isWhole ? EXIT_GOOD : EXIT_FAILED, text };
}

function runRepair(args: Arguments, readConfig: () => Config): Outcome {
  if (args.json) throw new UsageError(`repair takes no --json: it writes ${REPAIR_REPORT_NAME}`);
  const root = dataDirOf(args, readConfig);
  const { storeBytesMax, shards, dedupeEvents } = readConfig();
  const now = new Date();
  const to = targetOf(args, root) ?? `${root}.repaired-${timestamp(now)}`;
  const store = planStore(storeBytesMax, shards);
  const removed = removedText(to);
  const report = repair({ root, to, store, dedupeEvents, now });
  return { code: report.isComplete ? EXIT_GOOD : EXIT_LOST, text: removed + repairText(report) };
}

function runBackup(args: Arguments, readConfig: () => Config): Outcome {
  if (args.json) throw new UsageError('backup takes no --json; verify the copy with it');
  const root = dataDirOf(args, readConfig);
  const to = targetOf(args, root);
  if (to === undefined) throw new UsageError('backup needs --to DIR');
  const removed = removedText(to);
  return { code: EXIT_GOOD, text: removed + verifyText(summarize(backup(root, to))) };
}

/** Removes what killed tools left beside the target, and says so. */
function removedText(to: string): string {
  const lines = removeAbandoned(to).map((path) => `removed      ${path}: never finished\n`);
  return lines.join('');
}

/** The folder that --to names, absolute; `undefined` = none. It does not exist. */
function targetOf({ to }: Arguments, root: string): string | undefined {
  if (to === undefined) return undefined;
  const target = resolve(to);
  if (existsSync(target)) throw new UsageError(`${target} exists; --to must name a new folder`);
  if (target.startsWith(root + sep)) throw new UsageError(`${target} lies in the folder itself`);
  return target;
}

/** `20260131T235959Z` */
function timestamp(now: Date): string {
  return now.toISOString().replaceAll(/[-:]|\.\d+/g, '');
}

/** The folder that is meant, absolute; it exists and is a data folder. */
function dataDirOf({ folders }: Arguments, readConfig: () => Config): string {
  if (folders.length > 1) throw new UsageError(`one DATA_DIR, not ${folders.length}`);
  const root = resolve(folders[0] ?? readConfig().dataDir);
  if (isDataFolder(new ReadOnlyFiles(), root)) return root;
  throw new UsageError(`${root} is no data folder: it has neither log/ nor checkpoint/`);
}
