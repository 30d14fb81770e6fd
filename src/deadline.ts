/**
 * Time limits for what may take too long. Any thread with an event loop.
 */

export function afterMs(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** What `promise` resolves to (`true` for nothing), or `undefined` when that takes longer than `ms`. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T | true | undefined> {
  const timeout = Promise.withResolvers<undefined>();
  const timer = setTimeout(() => timeout.resolve(undefined), ms);
  try {
    return await Promise.race([promise.then((value) => value ?? true), timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}
