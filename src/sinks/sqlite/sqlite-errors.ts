/** What is done about each result code of SQLite (sqlite.org/rescode.html). Data; any thread. */
import type { ErrorClass } from '../sink.ts';

/** Primary result codes (the low eight bits); all others: `not-retryable`. */
export const SQLITE_ERRORS: Readonly<
  Record<number, { readonly name: string; readonly class: ErrorClass }>
> = {
  1: { name: 'SQLITE_ERROR', class: 'not-retryable' },
  3: { name: 'SQLITE_PERM', class: 'not-retryable' },
  5: { name: 'SQLITE_BUSY', class: 'retryable' },
  6: { name: 'SQLITE_LOCKED', class: 'retryable' },
  7: { name: 'SQLITE_NOMEM', class: 'system' },
  8: { name: 'SQLITE_READONLY', class: 'not-retryable' },
  9: { name: 'SQLITE_INTERRUPT', class: 'retryable' },
  10: { name: 'SQLITE_IOERR', class: 'system' },
  11: { name: 'SQLITE_CORRUPT', class: 'not-retryable' },
  13: { name: 'SQLITE_FULL', class: 'system' },
  14: { name: 'SQLITE_CANTOPEN', class: 'not-retryable' },
  15: { name: 'SQLITE_PROTOCOL', class: 'retryable' },
  17: { name: 'SQLITE_SCHEMA', class: 'retryable' },
  18: { name: 'SQLITE_TOOBIG', class: 'validation' },
  19: { name: 'SQLITE_CONSTRAINT', class: 'validation' },
  20: { name: 'SQLITE_MISMATCH', class: 'validation' },
  25: { name: 'SQLITE_RANGE', class: 'not-retryable' },
  26: { name: 'SQLITE_NOTADB', class: 'not-retryable' },
};

export function classOfSqliteCode(code: number): ErrorClass {
  return SQLITE_ERRORS[code & 0xff]?.class ?? 'not-retryable';
}
