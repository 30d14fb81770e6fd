/**
 * Fakes of the seams that HTTP stands on, and the app around them. Tests only.
 * The intake records offers and lets the test decide every event's fate.
 */
import { pino } from 'pino';
import type { ProductEvent } from '../../../src/event/product-event.ts';
import { type AppDeps, buildApp } from '../../../src/http/app.ts';
import { createMetering } from '../../../src/http/metering/metering.ts';
import { RunningKeys } from '../../../src/http/requests/running-keys.ts';
import type { Changes } from '../../../src/http/routes/changes.ts';
import type { AppliedProgress, AppliedWaiter } from '../../../src/http/seams/applied-progress.ts';
import type { Batches } from '../../../src/http/seams/batches.ts';
import type { DeadLetterBox } from '../../../src/http/seams/dead-letters.ts';
import type { DeadEvents, EventOutcomes } from '../../../src/http/seams/event-outcomes.ts';
import type { Profiles } from '../../../src/http/seams/profiles.ts';
import type { EventIntake, EventWaiter, Offer } from '../../../src/intake/event-intake.ts';
import type { HealthCheck, Phase } from '../../../src/lifecycle.ts';
import { MetricsRegistry } from '../../../src/metrics/registry.ts';
import type { EventOutcome } from '../../../src/outcome/outcome-window.ts';
import type { ProductCatalogue } from '../../../src/store/product-catalogue.ts';
import type {
  ProductRepository,
  ProductState,
  ReadResult,
} from '../../../src/store/product-repository.ts';
import { watchApp } from '../api/described-answers.ts';

export interface OfferMade {
  readonly event: ProductEvent;
  readonly waiter: EventWaiter | undefined;
  readonly answer: Offer;
}

/** Answers offers with `answers` in turn, then with `answer`; by itself it makes all durable. */
export class FakeIntake implements EventIntake {
  answer: Offer = 'queued';
  answers: Offer[] = [];
  /** False: waiters stay pending until the test calls them. */
  autoDurable = true;
  retryAfter = 7;
  readonly offers: OfferMade[] = [];
  #onOffer: ((made: OfferMade) => void) | undefined;

  offer(event: ProductEvent, waiter: EventWaiter | undefined): Offer {
    const answer = this.answers.shift() ?? this.answer;
    const made = { event, waiter, answer };
    this.offers.push(made);
    const seq = this.offers.length;
    if (answer === 'queued' && this.autoDurable) setImmediate(() => waiter?.durable(seq, false));
    const tell = this.#onOffer;
    this.#onOffer = undefined;
    tell?.(made);
    return answer;
  }

  retryAfterSeconds(): number {
    return this.retryAfter;
  }

  /** Resolves with the next offer. */
  nextOffer(): Promise<OfferMade> {
    return new Promise((resolve) => {
      this.#onOffer = resolve;
    });
  }
}

/** A plain Map behind the repository seam; `busyReads` reads answer busy first. */
export class FakeProducts implements ProductRepository {
  readonly byId = new Map<string, ProductState>();
  readonly reads: string[] = [];
  busyReads = 0;
  state: ProductState = stateOf(0, 0, 0);

  put(id: string, seq: number, price: number, stock: number): void {
    this.byId.set(id, stateOf(seq, price, stock));
  }

  read(id: string): ReadResult {
    this.reads.push(id);
    if (this.busyReads > 0) {
      this.busyReads--;
      return 'busy';
    }
    const state = this.byId.get(id);
    if (state === undefined) return 'missing';
    this.state = state;
    return 'found';
  }
}

function stateOf(seq: number, price: number, stock: number): ProductState {
  return { seq, price, stock, priceAtMs: 0, stockAtMs: 0, updatedAtMs: 0 };
}

export class FakeLifecycle {
  phase: Phase = 'ready';
  wasReady = true;
  storageAvailable = true;
  isReader = false;
  stalled: string | undefined;
  shown: HealthCheck[] = [{ name: 'log', ok: true, state: 'serving' }];

  checks(): readonly HealthCheck[] {
    return this.shown;
  }
}

export const TEST_LIMITS = {
  stockMin: 0,
  bodyBytesMax: 1024 * 1024,
  batchBytesMax: 1024 * 1024,
  headersTimeoutMs: 60_000,
  requestTimeoutMs: 60_000,
  answerTimeoutMs: 60_000,
  keepAliveTimeoutMs: 60_000,
  httpConnectionsMax: 1000,
} as const;

/** Events are applied when the test says so, or at once. */
export class FakeOutcomes implements EventOutcomes {
  autoApply = true;
  /** What became of events; `applied` where nothing is said. */
  readonly found = new Map<number, EventOutcome>();
  readonly waiting: { readonly seq: number; readonly onApplied: () => void }[] = [];

  whenApplied(seq: number, onApplied: () => void): void {
    if (this.autoApply) onApplied();
    else this.waiting.push({ seq, onApplied });
  }

  outcomeOf(seq: number): EventOutcome {
    return this.found.get(seq) ?? 'applied';
  }

  searchDead(): DeadEvents {
    return { listed: [], note: () => undefined, look: () => undefined };
  }
}

interface FakeWaiter extends AppliedWaiter {
  readonly onApplied: () => void;
}

/** How far the appliers are, as the test says it. */
export class FakeWatermark implements AppliedProgress {
  waiters: FakeWaiter[] = [];
  /** What is said first, once each, when asked for `seq`: another thread moves it in between. */
  earlier: number[] = [];
  #seq = 0;

  get seq(): number {
    return this.earlier.shift() ?? this.#seq;
  }

  set seq(seq: number) {
    this.#seq = seq;
  }

  whenApplied(seq: number, onApplied: () => void): AppliedWaiter | undefined {
    if (this.seq >= seq) {
      onApplied();
      return undefined;
    }
    const waiter = { seq, onApplied };
    this.waiters.push(waiter);
    return waiter;
  }

  cancel(waiter: AppliedWaiter): void {
    this.waiters = this.waiters.filter((each) => each !== waiter);
  }

  /** All events up to `seq` are applied from now on. */
  advance(seq: number): void {
    this.seq = seq;
    const due = this.waiters.filter((waiter) => waiter.seq <= seq);
    this.waiters = this.waiters.filter((waiter) => waiter.seq > seq);
    for (const { onApplied } of due) onApplied();
  }
}

/** A feed of nothing; tests of the feed itself run the service. */
const NO_CHANGES: Changes = {
  enter: () => false,
  leave: () => undefined,
  follow: () => undefined,
  page: async () => ({ changes: [], nextSince: 0, isReset: false }),
};

/** Dead letters are tested on the whole service; here there are none. */
const NO_LETTERS: DeadLetterBox = {
  list: async () => [],
  redrive: async () => undefined,
  remove: async () => false,
};

const NO_PRODUCTS: ProductCatalogue = {
  walk: () => ({ id: '', state: stateOf(0, 0, 0), place: undefined, next: () => 'end' }),
  walkFrom: () => undefined,
};

/** Profiles are tested on the whole service; here each is empty. */
export const NO_PROFILES: Profiles = {
  cpu: async () => new Uint8Array(),
  heap: async () => new Uint8Array(),
};

/** Batches are tested on the whole service; here they are refused. */
export const NO_BATCHES: Batches = {
  hasKey: () => false,
  recordOf: (key) => ({ key, found: undefined }),
  begin: () => 'closed',
  settle: async () => undefined,
  end: () => Promise.resolve(),
  refusedEvents: 0,
  retryAfterSeconds: () => 1,
};

/** The app on fakes, with an empty catalogue; the caller closes it. `logged` collects what it logs. */
export function fakeApp(overrides: Partial<AppDeps> = {}, level: 'debug' | 'info' = 'info') {
  const intake = new FakeIntake();
  const products = new FakeProducts();
  const lifecycle = new FakeLifecycle();
  const outcomes = new FakeOutcomes();
  const watermark = new FakeWatermark();
  const logged: string[] = [];
  const logger = pino({ level }, { write: (line: string) => void logged.push(line) });
  const app = buildApp({
    intake,
    batches: NO_BATCHES,
    running: new RunningKeys(),
    outcomes,
    watermark,
    products,
    catalogue: NO_PRODUCTS,
    changes: NO_CHANGES,
    profiles: NO_PROFILES,
    traces: undefined,
    deadLetters: NO_LETTERS,
    lifecycle,
    limits: TEST_LIMITS,
    rateLimits: {},
    trustedProxies: undefined,
    corsOrigins: undefined,
    tls: undefined,
    ackDefault: 'durable',
    identities: undefined,
    logger,
    configuration: {},
    metering: createMetering(new MetricsRegistry(), NO_BATCHES, lifecycle),
    ...overrides,
  });
  watchApp(app);
  return { app, intake, outcomes, watermark, products, lifecycle, logged };
}
