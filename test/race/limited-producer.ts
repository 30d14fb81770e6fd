/**
 * A thread with a producer of its own, as a thread that serves HTTP has one: it does what it is asked, and answers.
 * It may be told to die before one of the next operations on memory that other threads see. Tests only.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { fingerprintKey } from '../../src/event/fingerprint.ts';
import type { Batch } from '../../src/intake/batch.ts';
import { Producer, type ProducerOptions } from '../../src/write-path/producer.ts';
import { putEvent } from '../helpers/models/plain-event.ts';

/** Events of one turn of an import. */
const SLICE = 300;

/** What became of what was offered. */
export interface Offered {
  readonly queued: number;
  readonly answer: string;
}

/** How events ended: durable under a seq of their own, or without one. */
export interface Fates {
  readonly durable: string[];
  readonly repeated: number;
  readonly full: number;
}

export interface Question {
  readonly ticket: number;
  readonly name: keyof ReturnType<typeof answersOf>;
  readonly args: unknown[];
}

const { compareExchange, load, store, sub } = Atomics;

/** Counts operations from `from` on `script` down to a death. */
function mayDie(script: Int32Array): void {
  type Words = Int32Array<ArrayBuffer>;
  const step = () => {
    if (load(script, 0) > 0 && sub(script, 0, 1) === 1) process.exit(1);
  };
  Atomics.store = ((words: Words, at: number, value: number) => {
    step();
    return store(words, at, value);
  }) as typeof Atomics.store;
  Atomics.sub = ((words: Words, at: number, value: number) => {
    step();
    return sub(words, at, value);
  }) as typeof Atomics.sub;
  Atomics.compareExchange = ((words: Words, at: number, expected: number, value: number) => {
    step();
    return compareExchange(words, at, expected, value);
  }) as typeof Atomics.compareExchange;
}

function answersOf(options: ProducerOptions) {
  const producer = new Producer(options);
  const { intake, bulk } = producer;
  const batches: Batch[] = [];
  const deciding = {};
  let imports = false;
  const event = (productId: string, key?: string) => ({
    productId,
    price: 1,
    stock: 1,
    occurredAtMs: 5,
    ...(key === undefined ? {} : { key: fingerprintKey('event', key) }),
  });

  /** Offers one until it is decided, and resolves to what became of it. */
  async function send(productId: string, key?: string): Promise<string> {
    const fate = Promise.withResolvers<string>();
    const waiter = {
      durable: (_seq: number, isReplayed = false) => fate.resolve(isReplayed ? 'repeated' : 'new'),
      conflict: () => fate.resolve('conflict'),
      failed: () => fate.resolve('failed'),
    };
    for (;;) {
      const answer = intake.offer(event(productId, key), waiter);
      if (answer === 'queued') return fate.promise;
      if (answer !== 'undecided' && answer !== 'queue-full') return answer;
      await new Promise(setImmediate);
    }
  }

  /** Queues a batch of `events`, slice by slice, as an import does, for as long as it `goesOn`. */
  async function importSome(
    name: string,
    events: number,
    goesOn: () => boolean = () => true,
  ): Promise<number> {
    const batch = bulk.begin();
    if (typeof batch === 'string') throw new Error(batch);
    for (let n = 0; n < events && !batch.hasFailed && goesOn(); ) {
      await bulk.turns.next();
      for (let i = 0; i < SLICE && n < events; i++) {
        const index = bulk.nextSlot();
        if (index < 0) break;
        const productId = `${name}-${n % 50}`;
        const plain = { seq: 0, productId, price: 1, stock: 1, occurredAtMs: 5 };
        putEvent(bulk.slots, index, plain, options.memory.hashKey);
        if (bulk.admission.admit(bulk.slots, index) !== 'reserved') break;
        bulk.claim(batch, n++, false);
      }
      bulk.publish();
      if (n < events) await bulk.whenRoom(batch, true);
    }
    await bulk.whenSettled(batch);
    void bulk.end(batch);
    return batch.accepted;
  }

  return {
    open: () => producer.open(),
    /** Offers events of products of its own until one is refused. */
    fill: (name: string): Offered => {
      for (let queued = 0; ; queued++) {
        const answer = intake.offer(event(`${name}-${queued % 50}`), undefined);
        if (answer !== 'queued') return { queued, answer };
      }
    },
    /** Sends all of them at once; those with a key are sent by others as well. */
    sendAll: async (names: string[], keys: (string | undefined)[]): Promise<Fates> => {
      const fates = await Promise.all(names.map((name, i) => send(name, keys[i])));
      const durable = names.filter((_, i) => fates[i] === 'new');
      const count = (fate: string) => fates.filter((other) => other === fate).length;
      const odd = fates.find((fate) => !['new', 'repeated', 'store-full'].includes(fate));
      if (odd !== undefined) throw new Error(odd);
      return { durable, repeated: count('repeated'), full: count('store-full') };
    },
    /** Begins batches until one is refused. */
    beginAll: (): number => {
      for (let begun = 0; ; begun++) {
        const batch = bulk.begin();
        if (typeof batch === 'string') return begun;
        batches.push(batch);
      }
    },
    endAll: () => {
      for (const batch of batches.splice(0)) void bulk.end(batch);
    },
    /** As a batch does that has decided about room and not queued all. */
    decide: () => void bulk.admission.deciding.add(deciding),
    decided: () => void bulk.admission.deciding.delete(deciding),
    importSome: (name: string, events: number) => importSome(name, events),
    /** Imports, one batch of `events` after the other, until `importNoMore`. */
    importOn: (events = 2_000) => {
      imports = true;
      const next = async (n: number): Promise<void> => {
        await importSome(`on-${options.producer}`, events, () => imports);
        if (imports) await next(n + 1);
      };
      void next(0);
    },
    importNoMore: () => {
      imports = false;
    },
    /** A batch that waits for places, and goes on waiting when there are some. */
    waitForRoom: () => {
      const batch = bulk.begin();
      if (typeof batch === 'string') throw new Error(batch);
      producer.storageAvailable = false;
      void bulk.whenRoom(batch, false);
    },
    inFlight: () => producer.inFlight,
    drain: () => producer.drain(),
  };
}

export interface LimitedData {
  readonly options: ProducerOptions;
  /** Word 0: operations left before it dies; 0 = it lives. */
  readonly script: Int32Array;
}

const data = workerData as LimitedData | null;
if (data?.script !== undefined) {
  mayDie(data.script);
  const answers = answersOf(data.options);
  const alive = setInterval(() => undefined, 1_000);
  parentPort?.on('message', ({ ticket, name, args }: Question) => {
    const answer = answers[name] as (...args: unknown[]) => unknown;
    Promise.resolve()
      .then(() => answer(...args))
      .then(
        (value) => parentPort?.postMessage({ ticket, value }),
        (error) => parentPort?.postMessage({ ticket, error: String(error) }),
      );
  });
  parentPort?.on('close', () => clearInterval(alive));
}
