/**
 * What every sink must do, from outside: run it on yours, as the tests beside do. What it has is read by
 * another client than its own connection. Tests only.
 */
import t, { type Test } from 'tap';
import {
  type ProductRow,
  type Sink,
  SinkForeignError,
  type SinkOptions,
  SinkTakenError,
} from '../../../src/sinks/sink.ts';
import { ODD_IDS } from '../../helpers/models/odd-ids.ts';
import { Random } from '../../helpers/models/random.ts';

/** A database of the test's own, empty. */
export interface SinkWorld {
  make(options: SinkOptions): Sink;
  /** All rows, in the order of ids. */
  rows(): Promise<readonly ProductRow[]>;
  position(): Promise<number>;
  /** From now on the database refuses the product `b` with a price above 1000, for its data. */
  refuseHighPrice?(): Promise<void>;
  /** Many servers: it opens somewhat before its position, and of a refused batch the other rows are written. */
  readonly isCluster?: boolean;
  /** Takes the connection away from whoever writes; as a restart of the server would. */
  cutOff?(): Promise<void>;
}

export const OPTIONS: SinkOptions = {
  identity: 'a'.repeat(32),
  timeoutMs: 10_000,
  connectionsMax: 10,
};

/** The run that committed all events here. */
const RUN = 'run';

export function row(id: string, seq: number, more: Partial<ProductRow> = {}): ProductRow {
  return {
    id,
    price: seq / 100,
    stock: seq,
    priceAtMs: 1_700_000_000_000 + seq,
    stockAtMs: 1_700_000_000_000 + seq,
    seq,
    updatedAtMs: 1_700_000_000_000 + seq,
    ...more,
  };
}

/** Writes them with the newest event among them. */
export function write(sink: Sink, rows: readonly ProductRow[], position: number): Promise<number> {
  const seq = Math.max(position, ...rows.map(({ seq }) => seq));
  return sink.write(rows, position, { seq, run: RUN });
}

const byId = (a: ProductRow, b: ProductRow) => (a.id < b.id ? -1 : 1);

export function describeSink(name: string, makeWorld: (t: Test) => Promise<SinkWorld>): void {
  const open = async (t: Test, world: SinkWorld, options = OPTIONS) => {
    const sink = world.make(options);
    t.teardown(() => sink.close());
    return { sink, ...(await sink.open()) };
  };

  t.test(`${name}: keeps rows and position, and goes on from there`, async (t) => {
    const world = await makeWorld(t);
    const { sink, position } = await open(t, world);
    t.equal(position, 0, 'a new sink');
    const rows = [row('a', 1), row('b', 3)];
    t.equal(await write(sink, rows, 3), 2);
    t.strictSame(await world.rows(), rows);
    t.equal(await write(sink, [], 5), 0, 'events that changed nothing');
    await sink.beat();
    await sink.close();
    const reopened = (await open(t, world)).position;
    if (world.isCluster === true) t.ok(reopened <= 5);
    else t.equal(reopened, 5);
    t.equal(await world.position(), 5);
    t.strictSame(await world.rows(), rows);
  });

  t.test(`${name}: takes only what is newer, whatever comes again or late`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    await write(sink, [row('a', 5), row('b', 6)], 6);
    t.equal(await write(sink, [row('a', 5), row('b', 6)], 6), 0, 'again');
    t.equal(await write(sink, [row('a', 4), row('b', 7), row('c', 2)], 7), 2, 'one late');
    t.strictSame(await world.rows(), [row('a', 5), row('b', 7), row('c', 2)]);
  });

  t.test(`${name}: keeps every value as it is`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    const rows = [
      row('delisted', 1, { price: null, stock: null }),
      row('no-stock', 2, { stock: null, stockAtMs: null }),
      row('no-price', 3, { price: null, priceAtMs: null }),
      row('micros', 4, { priceAtMs: 1_753_000_000_123.456, stockAtMs: 1_753_000_000_000.001 }),
      row('long ago', 5, { priceAtMs: -62_167_219_200_000, stockAtMs: -1 }),
      row('far ahead', 11, { priceAtMs: 253_402_300_799_999, stockAtMs: 0 }),
      row('cent', 6, { price: 49.99, stock: -3 }),
      row('digits', 7, { price: 0.1 + 0.2, stock: Number.MAX_SAFE_INTEGER }),
      row('large', 8, { price: 1e15, stock: 0 }),
      row('late', 10, { seq: Number.MAX_SAFE_INTEGER }),
    ].sort(byId);
    await write(sink, rows, 8);
    t.strictSame(await world.rows(), rows);
  });

  t.test(`${name}: takes every id that there can be`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    const ids = [...ODD_IDS, 'x'.repeat(64), '€'.repeat(21), 'NULL', '\\N', '{}', '{a},{b}', ''];
    const rows = ids
      .filter((id) => id !== '')
      .map((id, n) => row(id, n + 1))
      .sort(byId);
    t.equal(await write(sink, rows, rows.length), rows.length);
    t.strictSame([...(await world.rows())].sort(byId), rows);
  });

  t.test(`${name}: writes thousands at a time, in any order of batches`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    const random = new Random();
    const newest = new Map<string, ProductRow>();
    for (let batch = 0; batch < 12; batch++) {
      const rows = new Map<string, ProductRow>();
      for (let n = 0; n < 1500; n++) {
        const each = row(`p${random.below(4000)}`, random.integer(1, 1e6));
        rows.set(each.id, each);
      }
      for (const [id, each] of rows) {
        if (each.seq > (newest.get(id)?.seq ?? 0)) newest.set(id, each);
      }
      await write(sink, [...rows.values()].sort(byId), batch);
    }
    const expected = [...newest.values()].sort(byId);
    t.strictSame([...(await world.rows())].sort(byId), expected, `seed ${random.seed}`);
  });

  t.test(`${name}: lists what is listed, however much it is`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    const listedIn = async () => new Set((await Array.fromAsync(sink.listed())).flat());
    t.strictSame(await listedIn(), new Set(), 'a new one has nothing');
    const ids = [...ODD_IDS, ...Array.from({ length: 2500 }, (_, n) => `p${n}`)];
    const rows = ids.map((id, n) => row(id, n + 1)).sort(byId);
    for (let from = 0; from < rows.length; from += 1000) {
      await write(sink, rows.slice(from, from + 1000), 0);
    }
    const gone = ids.filter((_, n) => n % 3 === 0);
    const none = { price: null, stock: null };
    await write(sink, gone.map((id) => row(id, 9000, none)).sort(byId), 0);
    t.strictSame([...(await listedIn())].sort(), ids.filter((_, n) => n % 3 > 0).sort());
  });

  t.test(`${name}: one instance writes, the other one stands by until it ends`, async (t) => {
    const world = await makeWorld(t);
    const { sink: first } = await open(t, world);
    const second = world.make(OPTIONS);
    t.teardown(() => second.close());
    await t.rejects(second.open(), SinkTakenError);
    await write(first, [row('a', 1)], 1);
    await first.close();
    await second.open();
    t.equal(await write(second, [row('a', 2)], 2), 1);
    t.equal(await world.position(), 2);
  });

  t.test(`${name}: nothing is written for another data folder`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    await write(sink, [row('a', 9)], 9);
    await sink.close();
    const other = world.make({ ...OPTIONS, identity: 'b'.repeat(32) });
    t.teardown(() => other.close());
    await t.rejects(other.open(), SinkForeignError);
    await other.close();
    t.strictSame(await world.rows(), [row('a', 9)]);
    await open(t, world);
    t.equal(await world.position(), 9, 'and its own goes on');
  });

  t.test(`${name}: keeps the newest event that a row is from, before the position`, async (t) => {
    const world = await makeWorld(t);
    const { sink, newest } = await open(t, world);
    t.strictSame(newest, { seq: 0, run: '' }, 'a new sink');
    await sink.write([row('a', 7)], 3, { seq: 7, run: 'first' });
    await sink.beat();
    await sink.close();
    const again = await open(t, world);
    t.strictSame(again.newest, { seq: 7, run: 'first' });
    await again.sink.write([], 9, { seq: 9, run: 'second' });
    await again.sink.close();
    t.strictSame((await open(t, world)).newest, { seq: 9, run: 'second' });
  });

  t.test(`${name}: goes on for the next generation, unless it has more of the last`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    await sink.write([row('a', 9)], 7, { seq: 9, run: '' });
    await sink.close();
    const next = (seqMax: number) =>
      world.make({ ...OPTIONS, identity: 'next', before: { identity: OPTIONS.identity, seqMax } });
    const behind = next(8);
    t.teardown(() => behind.close());
    await t.rejects(behind.open(), SinkForeignError, 'a row is from an event of the last');
    await behind.close();
    const ahead = next(9);
    t.teardown(() => ahead.close());
    await ahead.open();
    t.equal(await world.position(), 7);
    await ahead.close();
    const former = world.make(OPTIONS);
    t.teardown(() => former.close());
    await t.rejects(former.open(), SinkForeignError, 'it is the next one’s now');
  });

  t.test(`${name}: refuses a batch whole for the data of one row, and goes on`, async (t) => {
    const world = await makeWorld(t);
    if (world.refuseHighPrice === undefined) {
      t.pass('it takes any data');
      return;
    }
    const { sink } = await open(t, world);
    await world.refuseHighPrice();
    const rows = [row('a', 1), row('b', 2, { price: 2000 }), row('c', 3)];
    const error = await write(sink, rows, 3).then(
      () => undefined,
      (refusal) => refusal,
    );
    t.ok(error, 'is refused');
    t.equal(sink.classify(error), 'validation');
    t.equal(await world.position(), 0);
    if (world.isCluster !== true) t.strictSame(await world.rows(), []);
    await write(sink, [row('a', 1), row('c', 3)], 3);
    t.strictSame(await world.rows(), [row('a', 1), row('c', 3)], 'on the same connection');
    t.equal(await world.position(), 3);
  });

  t.test(`${name}: a connection that was cut off is a failure to try again`, async (t) => {
    const world = await makeWorld(t);
    if (world.cutOff === undefined) {
      t.pass('it has none');
      return;
    }
    const { sink } = await open(t, world);
    await write(sink, [row('a', 1)], 1);
    await world.cutOff();
    const error = await write(sink, [row('a', 2)], 2).then(
      () => undefined,
      (refusal) => refusal,
    );
    t.ok(error, 'the first call fails');
    t.equal(sink.classify(error), 'retryable');
    await sink.close();
    t.ok((await sink.open()).position <= 1);
    t.equal(await write(sink, [row('a', 2)], 2), 1);
  });
}
