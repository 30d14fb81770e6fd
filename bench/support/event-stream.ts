/**
 * The stream of events that benches send, and the state it must lead to. Both come from one seed, so
 * a bench checks every product at its end without having kept what it sent. Any thread; pure.
 */
import type { FullEvent } from '../../src/event/product-event.ts';
import type { ProductRepository } from '../../src/store/product-repository.ts';
import { createRandom } from './random.ts';

/** 2026-01-01T00:00:00Z; event times count up from it, one millisecond for each event. */
const FIRST_AT_MS = 1_767_225_600_000;
/** One event in so many comes late: its event time lies this far back. */
const LATE_EVERY = 16;
const LATE_MS = 1_000_000;

export interface EventStream {
  /** The next event of the stream. */
  next(): FullEvent;
}

/** Ids like those of a catalogue, 14 bytes each. */
export function productIds(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `SKU-${String(i).padStart(10, '0')}`);
}

/** Events for random products out of `ids`. */
export function createEventStream(seed: number, ids: readonly string[]): EventStream {
  const random = createRandom(seed);
  let sent = 0;
  return {
    next() {
      const productId = ids[random() % ids.length];
      const value = random();
      const lateMs = value % LATE_EVERY === 0 ? LATE_MS : 0;
      return {
        productId,
        price: (value % 1_000_000) / 100,
        stock: value >>> 12,
        occurredAtMs: FIRST_AT_MS + sent++ - lateMs,
      };
    },
  };
}

/**
 * The stream's first `events` events made beforehand and handed out over and over, later each time.
 * Each has an id string of its own and they lie in memory in order, as parsed request bodies do;
 * making them while the clock runs would measure the making.
 */
export function repeatStream(stream: EventStream, events: number): EventStream {
  const made = Array.from({ length: events }, () => stream.next());
  const ids: string[] = JSON.parse(JSON.stringify(made.map((event) => event.productId)));
  const prices = Float64Array.from(made, (event) => event.price);
  const stocks = Float64Array.from(made, (event) => event.stock);
  const times = Float64Array.from(made, (event) => timeOf(event.occurredAtMs));
  let at = 0;
  let laterMs = 0;
  return {
    next() {
      const i = at++;
      const occurredAtMs = times[i] + laterMs;
      if (at === events) {
        at = 0;
        laterMs += events;
      }
      return { productId: ids[i], price: prices[i], stock: stocks[i], occurredAtMs };
    },
  };
}

/** What the store must hold after events: by the merge rule, from a plain Map. */
export function expectedState(stream: EventStream, events: number): Map<string, FullEvent> {
  const expected = new Map<string, FullEvent>();
  for (let i = 0; i < events; i++) {
    const event = stream.next();
    const stands = expected.get(event.productId);
    if (stands === undefined || timeOf(event.occurredAtMs) >= timeOf(stands.occurredAtMs)) {
      expected.set(event.productId, event);
    }
  }
  return expected;
}

/** Throws unless every product of `expected` reads back as it should; returns how many there are. */
export function verifyStore(
  products: ProductRepository,
  expected: ReadonlyMap<string, FullEvent>,
): number {
  for (const event of expected.values()) verifyProduct(products, event);
  return expected.size;
}

/** Throws unless the product reads back as this event has set it. */
export function verifyProduct(
  products: ProductRepository,
  { productId, price, stock, occurredAtMs }: FullEvent,
): void {
  const result = products.read(productId);
  const { state } = products;
  if (
    result !== 'found' ||
    state.price !== price ||
    state.stock !== stock ||
    state.priceAtMs !== occurredAtMs ||
    state.stockAtMs !== occurredAtMs
  ) {
    const found = result === 'found' ? `${state.price} × ${state.stock}` : result;
    throw new Error(`product ${productId}: expected ${price} × ${stock}, found ${found}`);
  }
}

function timeOf(occurredAtMs: number | undefined): number {
  return occurredAtMs ?? Number.NEGATIVE_INFINITY;
}
