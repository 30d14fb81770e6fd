/** Events straight to the service's intake, as fast as it takes them. Tests only. */
import type { ProductEvent } from '../../../src/event/product-event.ts';
import type { Service } from '../../../src/service.ts';

export interface Offered {
  /** Those that found no room in the store. */
  readonly refused: readonly ProductEvent[];
  /** Of the last event that was taken; 0 = none. */
  readonly seq: number;
}

/** Offers all of them, in order; resolves when those that were taken are applied. */
export async function offerAll(
  service: Service,
  events: readonly ProductEvent[],
): Promise<Offered> {
  const { intake } = service.path;
  const refused: ProductEvent[] = [];
  let last: Promise<number> = Promise.resolve(0);
  for (const event of events) {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const waiter = {
      durable: resolve,
      conflict: () => reject(new Error('conflict')),
      failed: () => reject(new Error('failed')),
    };
    let answer = intake.offer(event, waiter);
    while (answer === 'queue-full' || answer === 'undecided') {
      await new Promise(setImmediate);
      answer = intake.offer(event, waiter);
    }
    if (answer === 'queued') last = promise;
    else if (answer === 'store-full') refused.push(event);
    else throw new Error(answer);
  }
  const seq = await last;
  await new Promise<void>((resolve) => service.whenApplied(seq, resolve));
  return { refused, seq };
}
