/** What Node says when a connection can't be had or is lost; the same for every client. Data; any thread. */
import { type ErrorClass, SinkTimeoutError } from './sink.ts';

/** Codes of the system and of Node's TLS; all of them may pass by themselves but for the last ones. */
export const NETWORK_ERRORS: Readonly<Record<string, ErrorClass>> = {
  ECONNREFUSED: 'retryable',
  ECONNRESET: 'retryable',
  ECONNABORTED: 'retryable',
  EPIPE: 'retryable',
  ETIMEDOUT: 'retryable',
  EHOSTUNREACH: 'retryable',
  ENETUNREACH: 'retryable',
  ENETDOWN: 'retryable',
  ENOTFOUND: 'retryable',
  EAI_AGAIN: 'retryable',
  ENOENT: 'retryable', // a Unix socket whose server is down
  EMFILE: 'system',
  ENFILE: 'system',
  ENOBUFS: 'system',
  CERT_HAS_EXPIRED: 'not-retryable',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'not-retryable',
  SELF_SIGNED_CERT_IN_CHAIN: 'not-retryable',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'not-retryable',
  ERR_TLS_CERT_ALTNAME_INVALID: 'not-retryable',
};

/** The class of an error that says nothing of a database's own; `undefined` if this is none. */
export function classOfNetworkError(error: unknown): ErrorClass | undefined {
  if (error instanceof SinkTimeoutError) return 'retryable';
  if (error instanceof AggregateError) return classOfNetworkError(error.errors[0]);
  const { code } = (error ?? {}) as { readonly code?: unknown };
  return typeof code === 'string' ? NETWORK_ERRORS[code] : undefined;
}
