/**
 * A tool can't read what it must check, for a reason that lies in how it is run (rights, descriptors,
 * memory) and not in the data. One line; the tool ends with it and says nothing about the data.
 */
import { isAccessError, ownerHint } from '../log/access.ts';

/** What else is no sign of damage: the limits of the process and of the machine. */
const LIMITS = ['EMFILE', 'ENFILE', 'ENOMEM'];

export class UnreadableError extends Error {
  override readonly name = 'UnreadableError';
}

/** Throws UnreadableError if `error`, met while `path` was opened, is of that kind. */
export function throwIfUnreadable(error: unknown, path: string): void {
  if (error instanceof UnreadableError) throw error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  const isAccess = isAccessError(error);
  if (!isAccess && !LIMITS.includes(code)) return;
  const what = message.includes(path) ? message : `${path}: ${message}`;
  throw new UnreadableError(
    `nothing is known about the data: ${what}${isAccess ? ownerHint(path) : ''}`,
  );
}
