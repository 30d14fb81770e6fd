/**
 * What is done about each error of Redis: the word that its reply begins with, or the client's own error. Data;
 * any thread. What is not here: `not-retryable`.
 */
import type { ErrorClass } from '../sink.ts';

export const REDIS_ERRORS: Readonly<Record<string, ErrorClass>> = {
  LOADING: 'retryable',
  READONLY: 'retryable', // a replica, until it is promoted
  MASTERDOWN: 'retryable',
  CLUSTERDOWN: 'retryable',
  TRYAGAIN: 'retryable',
  MOVED: 'retryable', // more often than the client follows
  ASK: 'retryable',
  BUSY: 'retryable', // somebody's script
  NOREPLICAS: 'retryable',
  NOFUNCTION: 'retryable', // our word: functions were flushed; opening loads them again
  MAXCLIENTS: 'retryable', // our word: max number of clients reached
  OOM: 'system',
  MISCONF: 'system', // it can't save
  WRONGTYPE: 'validation', // somebody else's key has the product's name
  NOAUTH: 'not-retryable',
  WRONGPASS: 'not-retryable',
  NOPERM: 'not-retryable',
  CROSSSLOT: 'not-retryable',
  ERR: 'not-retryable',
};

/** Errors of the client, by their class. */
export const REDIS_CLIENT_ERRORS: Readonly<Record<string, ErrorClass>> = {
  AbortError: 'retryable',
  ClientClosedError: 'retryable',
  ClientOfflineError: 'retryable',
  ConnectionTimeoutError: 'retryable',
  DisconnectsClientError: 'retryable',
  MaxCommandRedirectionsError: 'retryable',
  ReconnectStrategyError: 'retryable',
  RootNodesUnavailableError: 'retryable',
  SocketClosedUnexpectedlyError: 'retryable',
  SocketTimeoutError: 'retryable',
};

export function classOfRedisError(error: unknown): ErrorClass {
  if (!(error instanceof Error)) return 'not-retryable';
  const client = REDIS_CLIENT_ERRORS[error.constructor.name];
  if (client !== undefined) return client;
  return REDIS_ERRORS[wordOf(error.message)] ?? 'not-retryable';
}

function wordOf(message: string): string {
  if (/Function not found/.test(message)) return 'NOFUNCTION';
  if (/max number of clients/.test(message)) return 'MAXCLIENTS';
  return /^-?([A-Z]+)\b/.exec(message)?.[1] ?? '';
}
