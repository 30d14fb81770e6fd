/**
 * What a sink does when its database fails: every interleaving that its header lists, provoked by a sink in
 * memory that fails at will. The databases themselves are in contract/ and in test/system-tools.
 * (Over 300 lines: one runner in all its states, on one fake world.)
 */
import t, { type Test } from 'tap';
import { ChangedProductsSearch } from '../../src/sinks/changed-products.ts';
import { ProductRows } from '../../src/sinks/product-rows.ts';
import type { ProductRow } from '../../src/sinks/sink.ts';
import { type SinkLimits, SinkRunner } from '../../src/sinks/sink-runner.ts';
import { SinkStats } from '../../src/sinks/sink-stats.ts';
import type { Timeline } from '../../src/sinks/timeline.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { KEY, names, OwnedStore } from '../helpers/models/owned-store.ts';
import { ScriptedSink } from './scripted-sink.ts';

const WAIT_MS_MAX = 60_000;
const LIMITS: SinkLimits = {
  batchSize: 4,
  flushIntervalMs: 1,
  retryAttemptsMax: 3,
  retryInitialMs: 1,
  retryMaxMs: 2,
  breakerThreshold: 2,
  breakerTimeoutMs: 20,
};

class World {
  readonly store = new OwnedStore(2, 64 << 10);
  readonly sink = new ScriptedSink();
  readonly stats = new SinkStats(SinkStats.create());
  readonly reported: string[] = [];
  readonly letters = new Map<string, ProductRow>();
  lettersMax = 100;
  /** What the sink is asked for when it is opened. */
  comparison: number | undefined;
  readonly compared: number[] = [];
  timeline: Timeline = [];
  runner: SinkRunner;
  #running: Promise<void> | undefined;

  /** How often it beats; `undefined` = as in the service. */
  beatMs: number | undefined;

  constructor(t: Test, limits: Partial<SinkLimits> = {}, isShared = false) {
    this.runner = this.make(limits, isShared);
    t.teardown(() => this.runner.stop());
  }

  make(limits: Partial<SinkLimits>, isShared = false): SinkRunner {
    const { shards } = this.store;
    const { store } = this;
    this.runner = new SinkRunner({
      sink: this.sink,
      search: new ChangedProductsSearch({ shards, ring: { copy: () => 0 } }),
      rows: new ProductRows(shards, KEY),
      applied: {
        get seq() {
          return store.seq;
        },
        // Nobody rings; the runner is woken by its beat, or by drain and stop.
        whenApplied: (seq, onApplied) => ({ seq, onApplied }),
        cancel: () => undefined,
      },
      stats: this.stats,
      limits: { ...LIMITS, ...limits },
      hold: async () => this.comparison,
      beatMs: this.beatMs,
      onCompared: (comparison) => this.compared.push(comparison),
      isShared,
      timeline: this.timeline,
      refused: {
        refuse: (row) => {
          if (this.letters.size >= this.lettersMax) return false;
          this.letters.set(row.id, row);
          return true;
        },
        isRefused: (id) => this.letters.has(id),
        settle: (rows) => {
          for (const { id } of rows) this.letters.delete(id);
        },
      },
      report: (level, text) => this.reported.push(`${level}: ${text}`),
    });
    return this.runner;
  }

  start(): void {
    this.#running = this.runner.run();
  }

  caughtUp(): Promise<true> {
    return polled(
      () => (this.stats.get('position') >= this.store.seq ? true : undefined),
      WAIT_MS_MAX,
      'the sink to catch up',
    );
  }

  async drained(): Promise<void> {
    this.runner.drain();
    await bounded(this.#running ?? Promise.resolve(), WAIT_MS_MAX, 'the sink to end');
  }

  put(...ids: readonly string[]): void {
    for (const id of ids) this.store.put(id);
  }

  get seqs(): Record<string, number> {
    return Object.fromEntries([...this.sink.rows.values()].map(({ id, seq }) => [id, seq]));
  }
}

t.test('a window is written in batches, and the last one raises the position', async (t) => {
  const world = new World(t);
  world.put(...names(10));
  world.start();
  await world.caughtUp();
  const writes = world.sink.calls.filter((call) => call.includes('@'));
  t.equal(writes.length, 3);
  t.strictSame(
    writes.map((call) => call.slice(call.indexOf('@'))),
    ['@0', '@0', '@10'],
  );
  t.equal(world.stats.get('rowsWritten'), 10);
  t.equal(world.stats.state, 'following');
  await world.drained();
  t.equal(world.stats.state, 'stopped');
  t.equal(world.sink.isOpen, false);
});

t.test('events that changed nothing raise the position all the same', async (t) => {
  const world = new World(t);
  world.put('a');
  world.start();
  await world.caughtUp();
  await world.drained();
  t.equal(world.sink.position, 1);
});

t.test('killed between two batches: nothing is missing, nothing is there twice', async (t) => {
  const world = new World(t);
  world.put(...names(10));
  world.sink.writing = ['ok', 'hangs'];
  world.start();
  await polled(
    () => (world.sink.calls.length === 3 ? true : undefined),
    WAIT_MS_MAX,
    'the second batch',
  );
  t.equal(world.sink.position, 0);
  t.equal(world.sink.rows.size, 4);
  // The thread is gone; its successor knows nothing of it.
  world.put('product-0');
  world.sink.isOpen = false;
  world.make({});
  world.start();
  await world.caughtUp();
  t.equal(world.sink.rows.size, 10);
  t.equal(world.seqs['product-0'], 11);
  await world.drained();
});

t.test('killed between the commit and its answer: the position is read anew', async (t) => {
  const world = new World(t);
  world.put('a', 'b');
  world.sink.writing = ['lost-answer'];
  world.start();
  await world.caughtUp();
  t.strictSame(world.sink.calls.slice(0, 4), ['open', 'a b @2', 'close', 'open']);
  t.equal(world.stats.get('retries'), 1);
  t.equal(world.stats.get('failedRetryable'), 1);
  await world.drained();
});

t.test('the breaker opens after so many failures, probes once, and closes', async (t) => {
  const world = new World(t);
  world.put('a');
  // Two rounds of three attempts; the probe fails; the next one succeeds.
  world.sink.opening = Array.from({ length: 7 }, () => 'retryable' as const);
  world.start();
  await world.caughtUp();
  t.equal(world.sink.calls.filter((call) => call === 'open').length, 8);
  t.equal(world.stats.get('breakerOpened'), 2);
  t.equal(world.stats.get('retries'), 4, 'the probe is not tried again');
  await world.drained();
  t.equal(world.stats.breaker, 'closed');
  t.strictSame(
    world.reported.slice(0, 2),
    ['warn: retryable: scripted retryable', 'info: goes on behind seq 0, 1 events to come'],
    'one line for the whole outage',
  );
});

t.test('what somebody must mend is not tried again at once', async (t) => {
  const world = new World(t);
  world.put('a');
  world.sink.opening = ['not-retryable', 'system'];
  world.start();
  await world.caughtUp();
  t.equal(world.stats.get('retries'), 0);
  t.equal(world.stats.get('failedNotRetryable'), 1);
  t.equal(world.stats.get('failedSystem'), 1);
  t.equal(world.stats.get('breakerOpened'), 1);
  await world.drained();
});

t.test(
  'refused rows are found by halving, and their dead letters stand before the position',
  async (t) => {
    const world = new World(t, { batchSize: 100 });
    world.put(...names(9));
    world.sink.refused.add('product-3').add('product-8');
    const { sink, letters } = world;
    const write = sink.write.bind(sink);
    let lettersAtPosition = 0;
    sink.write = (rows, position, newest) => {
      if (position === 9 && !rows.some(({ id }) => sink.refused.has(id))) {
        lettersAtPosition = letters.size;
      }
      return write(rows, position, newest);
    };
    world.start();
    await world.caughtUp();
    t.strictSame([...letters.keys()].sort(), ['product-3', 'product-8']);
    t.equal(lettersAtPosition, 2);
    t.equal(sink.rows.size, 7);
    t.equal(sink.position, 9);
    sink.refused.clear();
    world.put('product-3');
    world.runner.drain();
    await world.drained();
    t.strictSame([...letters.keys()], ['product-8'], 'what was written later is settled');
  },
);

t.test(
  'a sink whose dead letters are full stands still, and goes on when there is room',
  async (t) => {
    const world = new World(t, { breakerTimeoutMs: 1 });
    world.put('a', 'b', 'c');
    world.sink.refused.add('b').add('c');
    world.lettersMax = 1;
    world.start();
    await polled(
      () => (world.stats.state === 'blocked' ? true : undefined),
      WAIT_MS_MAX,
      'it to stand still',
    );
    t.equal(world.sink.position, 0);
    t.ok(world.reported.some((line) => /^error: blocked/.test(line)));
    world.lettersMax = 2;
    await world.caughtUp();
    t.equal(world.letters.size, 2);
    await world.drained();
  },
);

t.test('a product is written again when somebody asks, and refused again if it is', async (t) => {
  const world = new World(t, { batchSize: 100 });
  world.put('a', 'b');
  world.sink.refused.add('b');
  world.start();
  await world.caughtUp();
  t.equal(await bounded(world.runner.redrive('b'), WAIT_MS_MAX, 'b'), 'refused');
  world.sink.refused.clear();
  t.equal(await bounded(world.runner.redrive('b'), WAIT_MS_MAX, 'b again'), 'written');
  t.strictSame(world.seqs, { a: 1, b: 2 });
  t.equal(world.letters.size, 0);
  world.sink.writing = ['retryable'];
  t.equal(await bounded(world.runner.redrive('a'), WAIT_MS_MAX, 'a'), 'written', 'over a failure');
  await world.drained();
});

t.test('a product that is gone is written as delisted when somebody asks', async (t) => {
  const world = new World(t, { batchSize: 100 });
  world.put('a', 'b');
  world.start();
  await world.caughtUp();
  world.sink.rows.set('gone', forgotten('gone', 1));
  world.letters.set('gone', forgotten('gone', 2));
  t.equal(await bounded(world.runner.redrive('gone'), WAIT_MS_MAX, 'gone'), 'written');
  t.match(world.sink.rows.get('gone'), { price: null, stock: null, seq: 2 });
  t.notOk(world.letters.has('gone'), 'its letter is settled');
  await world.drained();
});

t.test('a sink is kept alive while changes gather, and redrives do not wait', async (t) => {
  const world = new World(t, { flushIntervalMs: 3_600_000 });
  world.beatMs = 1;
  world.make({ flushIntervalMs: 3_600_000 });
  world.put('a');
  world.start();
  await world.caughtUp();
  world.put('b');
  const beats = () => world.sink.calls.filter((call) => call === 'beat').length;
  const before = beats();
  await polled(() => (beats() > before + 3 ? true : undefined), WAIT_MS_MAX, 'beats');
  t.equal(world.sink.position, 1, 'they gather still');
  t.equal(await bounded(world.runner.redrive('a'), WAIT_MS_MAX, 'a'), 'written');
  t.equal(world.sink.position, 1);
  await world.drained();
  t.equal(world.sink.position, 2);
});

t.test('a stop writes what is left, unless the database fails', async (t) => {
  const world = new World(t, { flushIntervalMs: 3_600_000 });
  world.put('a', 'b');
  world.start();
  await world.caughtUp();
  // A batch is not full, and its time not up.
  world.put('c');
  await world.drained();
  t.equal(world.sink.position, 3);

  const failing = new World(t, { flushIntervalMs: 3_600_000, retryMaxMs: 3_600_000 });
  failing.put('a');
  failing.sink.opening = Array.from({ length: 100 }, () => 'retryable' as const);
  failing.start();
  await failing.drained();
  t.equal(failing.sink.position, 0);
  t.equal(failing.stats.state, 'stopped');
});

t.test('a sink that is another one’s after a failure is not called reached', async (t) => {
  const world = new World(t, { breakerTimeoutMs: 1 });
  world.put('a');
  world.sink.position = 5;
  world.sink.opening = ['retryable'];
  world.start();
  await polled(() => (world.stats.state === 'foreign' ? true : undefined), WAIT_MS_MAX, 'foreign');
  t.notOk(world.reported.some((line) => /reached again/.test(line)));
  world.sink.position = 0;
  await world.caughtUp();
  await polled(
    () => (world.reported.some((line) => /reached again/.test(line)) ? true : undefined),
    WAIT_MS_MAX,
    'it to be called reached',
  );
  await world.drained();
});

t.test('in a cluster a sink that is ahead waits for one that is as far', async (t) => {
  const world = new World(t, {}, true);
  world.put('a');
  world.sink.position = 3;
  world.start();
  await polled(() => (world.stats.state === 'standby' ? true : undefined), WAIT_MS_MAX, 'standby');
  t.equal(world.sink.rows.size, 0);
  for (const id of ['b', 'c', 'd']) world.put(id);
  await polled(() => (world.sink.position === 4 ? true : undefined), WAIT_MS_MAX, 'all');
  t.strictSame([...world.sink.rows.keys()], ['d'], 'what came behind its position');
});

t.test('a sink that is ahead of the service is of a later state of the folder', async (t) => {
  const world = new World(t, { breakerTimeoutMs: 1 });
  world.put('a');
  world.sink.position = 5;
  world.start();
  await polled(() => (world.stats.state === 'foreign' ? true : undefined), WAIT_MS_MAX, 'foreign');
  t.equal(world.sink.rows.size, 0);
  await polled(
    () => (world.sink.calls.filter((call) => call === 'open').length > 3 ? true : undefined),
    WAIT_MS_MAX,
    'it to be looked at again',
  );
  t.match(world.reported, [/up to seq 5/]);
  t.equal(world.reported.length, 1, 'said once');
  // Somebody emptied it.
  world.sink.position = 0;
  await world.caughtUp();
  await world.drained();
});

t.test('a sink with a row of a run that was undone is of another state', async (t) => {
  const world = new World(t, { breakerTimeoutMs: 1 });
  world.timeline = [
    { from: 1, name: 'first' },
    { from: 3, name: 'own' },
  ];
  world.make({ breakerTimeoutMs: 1 });
  world.put('a', 'b', 'c', 'd');
  // It was killed within a window: the row of event 3 is there, the position not behind it.
  world.sink.position = 2;
  world.sink.newest = { seq: 3, run: 'first' };
  world.start();
  await polled(() => (world.stats.state === 'foreign' ? true : undefined), WAIT_MS_MAX, 'foreign');
  t.equal(world.sink.rows.size, 0);
  t.ok(world.reported.some((line) => /up to seq 3 that this service never had/.test(line)));
  world.sink.newest = { seq: 2, run: 'first' };
  await world.caughtUp();
  t.strictSame(world.sink.newest, { seq: 4, run: 'own' });
  await world.drained();
});

/** A row of a product that the store does not know. */
function forgotten(id: string, seq: number): ProductRow {
  const times = { priceAtMs: seq, stockAtMs: seq, updatedAtMs: seq };
  return { id, price: 1, stock: 1, seq, ...times };
}

t.test('rows of products that are gone are found by a comparison, and no others', async (t) => {
  const world = new World(t);
  world.put('a', 'gone', 'b', 'delisted', 'c');
  world.start();
  await world.caughtUp();
  await world.drained();
  // As if it had been away while `gone` was delisted and forgotten.
  world.sink.rows.set('gone-1', forgotten('gone-1', 2));
  world.sink.rows.set('gone-2', forgotten('gone-2', 4));
  world.store.delist('delisted');
  world.comparison = 7;
  world.make({});
  world.start();
  await polled(() => (world.compared.length > 0 ? true : undefined), WAIT_MS_MAX, 'the end of it');
  await world.caughtUp();
  t.strictSame(world.compared, [7]);
  t.equal(world.sink.calls.filter((call) => call === 'listed').length, 1, 'once');
  const listed = [...world.sink.rows.values()].filter(({ price }) => price !== null);
  t.strictSame(listed.map(({ id }) => id).sort(), ['a', 'b', 'c', 'gone']);
  t.equal(world.sink.rows.get('gone-1')?.seq, 6, 'a seq that whatever lists it later is above');
  world.put('gone-1');
  await world.caughtUp();
  t.equal(world.sink.rows.get('gone-1')?.price, 7);
  await world.drained();
});

t.test('a sink is kept alive while its rows are compared', async (t) => {
  const world = new World(t);
  world.put('a', 'b', 'c');
  world.start();
  await world.caughtUp();
  await world.drained();
  world.sink.rows.set('gone', forgotten('gone', 2));
  world.comparison = 1;
  world.beatMs = 0;
  world.make({});
  world.start();
  await polled(() => (world.compared.length > 0 ? true : undefined), WAIT_MS_MAX, 'the end of it');
  const { calls } = world.sink;
  const from = calls.lastIndexOf('listed');
  t.strictSame(calls.slice(from, from + 6), ['listed', 'beat', 'beat', 'beat', 'beat', 'gone @3']);
  await world.drained();
});

t.test(
  'a comparison that fails half way, or is ordered again meanwhile, is done again',
  async (t) => {
    const world = new World(t);
    world.put('a', 'b');
    world.sink.rows.set('gone', forgotten('gone', 1));
    world.sink.listing = ['retryable'];
    world.comparison = 1;
    world.start();
    await polled(
      () => (world.compared.length > 0 ? true : undefined),
      WAIT_MS_MAX,
      'the end of it',
    );
    t.equal(world.sink.calls.filter((call) => call === 'listed').length, 2);
    t.equal(world.sink.rows.get('gone')?.price, null);
    world.sink.rows.set('late', forgotten('late', 1));
    world.put('b');
    world.runner.compare(2);
    await polled(
      () => (world.compared.length > 1 ? true : undefined),
      WAIT_MS_MAX,
      'the second one',
    );
    t.strictSame(world.compared, [1, 2]);
    t.equal(world.sink.rows.get('late')?.price, null);
    await world.drained();
  },
);

t.test('a drain does not wait for a comparison: the next start has it', async (t) => {
  const world = new World(t);
  world.put('a', 'b');
  world.sink.rows.set('gone', forgotten('gone', 1));
  world.comparison = 1;
  world.start();
  world.runner.drain();
  await world.drained();
  t.strictSame(world.compared, []);
  t.equal(world.sink.position, 2);
});
