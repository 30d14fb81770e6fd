/** A bound for calls whose client has none of its own, or none that holds. Any thread with an event loop. */
import { SinkTimeoutError } from './sink.ts';

/** What `call` resolves to; rejects with SinkTimeoutError after `ms`. The call itself goes on: drop its connection. */
export async function withDeadline<T>(ms: number, what: string, call: Promise<T>): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => timeout.reject(new SinkTimeoutError(`${what} took longer than ${ms} ms`)),
    ms,
  );
  // What comes after the deadline is nobody's.
  call.catch(() => undefined);
  try {
    return await Promise.race([call, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
