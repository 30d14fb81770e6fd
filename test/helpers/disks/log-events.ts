/** Events to put into logs, and what must be read back of them. Tests only. */
import type { SlotContent } from '../../../src/ring/slot.ts';
import type { Random } from '../models/random.ts';
import type { Unnumbered } from './log-life.ts';

const IDS = ['a', 'sku-2', 'ü', '😀', 'x'.repeat(64), '__proto__', 'a/b c'];

/** `count` events, no two alike. */
export function someEvents(random: Random, count: number): Unnumbered[] {
  return Array.from({ length: count }, () => ({
    productId: `${random.pick(IDS)}`.slice(0, 50) + random.below(10),
    price: random.word() / 128,
    stock: random.word(),
    occurredAtMs: random.word(),
  }));
}

/** The events as the log numbers them from `first` on. */
export function numbered(events: readonly Unnumbered[], first = 1): SlotContent[] {
  return events.map(({ productId, price, stock, occurredAtMs }, i) => {
    // In the order in which a slot is described, so that JSON may be compared.
    return { seq: first + i, productId, price, stock, occurredAtMs };
  });
}
