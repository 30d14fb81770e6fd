/**
 * Who may do what with a file: the words for a right that is missing. Any thread.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Whether the error says that a right is missing, which says nothing about the file. */
export function isAccessError(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EACCES' || code === 'EPERM';
}

/** `; it belongs to uid 1000, and this is run by uid 65534`, as far as the system says. */
export function ownerHint(path: string): string {
  const uid = process.getuid?.();
  if (uid === undefined) return '';
  return `; ${ownerOf(path)} and this is run by uid ${uid}: run it as the user of the service`;
}

/** What an error says, with the hint where it is about a right to a file that it names. */
export function inWords(error: unknown): string {
  const { path } = error as NodeJS.ErrnoException;
  const hint = path !== undefined && isAccessError(error) ? ownerHint(path) : '';
  return `${error instanceof Error ? error.message : error}${hint}`;
}

function ownerOf(path: string): string {
  try {
    return `it belongs to uid ${statSync(path).uid},`;
  } catch {
    // What can't be seen lies in a folder that can't be entered.
    return path === dirname(path) ? 'it belongs to another user,' : ownerOf(dirname(path));
  }
}
