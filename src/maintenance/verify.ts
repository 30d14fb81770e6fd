/**
 * `verify`: checks every byte of a data folder that counts, without starting and without writing,
 * and asks the service's own recovery whether a start would succeed. Main thread of a tool.
 *
 * On a folder whose service runs, the tail moves while it is read: a frame can be seen half-written
 * or, when reading meets the place before the writer and a later place after it, missing before a
 * whole one; files may go by retention. Real damage stays, so a fault counts only when a second look
 * finds the same one: a frame that was followed by a whole one in the first look was whole itself
 * before the second began, because a frame is written only after the one before it was flushed.
 */
import { join } from 'node:path';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../log/data-dir.ts';
import type { FileSystem } from '../log/file-system.ts';
import type { LogTail } from '../log/sequencer.ts';
import { type RecoverySink, recover } from '../recovery/recovery.ts';
import { holderOf } from './folder-hold.ts';
import { type Inspection, inspect } from './inspection.ts';
import type { Fault } from './loaded-file.ts';
import { throwIfUnreadable } from './unreadable-error.ts';

export interface Verification extends Inspection {
  /** Who runs on the folder, in words; `undefined` = nobody, so nothing moved. */
  readonly heldBy: string | undefined;
  /** Why a start would be refused; `undefined` = it would succeed, or nobody can say. */
  readonly refusal: string | undefined;
}

/** Looks at the data folder at `root`. Throws only when the folder can't be listed. */
export function verify(files: FileSystem, root: string): Verification {
  let heldBy = holderOf(root);
  let found = inspect(files, root);
  heldBy ??= holderOf(root);
  if (heldBy === undefined) return { ...found, heldBy, refusal: refusalOf(files, root) };
  if (found.faults.length > 0) {
    const before = found.faults;
    found = inspect(files, root);
    found = { ...found, faults: found.faults.filter((fault) => before.some(isSame(fault))) };
  }
  return { ...found, heldBy, refusal: undefined };
}

function isSame(a: Fault): (b: Fault) => boolean {
  return (b) => a.path === b.path && a.offsetBytes === b.offsetBytes && a.reason === b.reason;
}

const NOWHERE: RecoverySink = {
  entries: () => undefined,
  keys: () => undefined,
  receipts: () => undefined,
  frame: () => undefined,
  finish: () => undefined,
  outcomes: () => undefined,
};

/** Where the log in the data folder goes on: runs the service's recovery into nowhere, and throws what it throws. */
export function endOfLog(files: FileSystem, root: string): LogTail {
  return recover({
    files,
    folder: join(root, LOG_FOLDER),
    checkpoints: join(root, CHECKPOINT_FOLDER),
    sink: NOWHERE,
    report: () => undefined,
  });
}

function refusalOf(files: FileSystem, root: string): string | undefined {
  try {
    endOfLog(files, root);
    return undefined;
  } catch (error) {
    throwIfUnreadable(error, root);
    return error instanceof Error ? error.message : String(error);
  }
}
