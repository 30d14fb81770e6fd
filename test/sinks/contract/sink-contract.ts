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

const byId = (a: ProductRow, b: ProductRow) => (a.id < b.id ? -1 : 1);

export function describeSink(name: string, makeWorld: (t: Test) => Promise<SinkWorld>): void {
  const open = async (t: Test, world: SinkWorld, options = OPTIONS) => {
    const sink = world.make(options);
    t.teardown(() => sink.close());
    return { sink, position: await sink.open() };
  };

  t.test(`${name}: keeps rows and position, and goes on from there`, async (t) => {
    const world = await makeWorld(t);
    const { sink, position } = await open(t, world);
    t.equal(position, 0, 'a new sink');
    const rows = [row('a', 1), row('b', 3)];
    t.equal(await sink.write(rows, 3), 2);
    t.strictSame(await world.rows(), rows);
    t.equal(await sink.write([], 5), 0, 'events that changed nothing');
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
    await sink.write([row('a', 5), row('b', 6)], 6);
    t.equal(await sink.write([row('a', 5), row('b', 6)], 6), 0, 'again');
    t.equal(await sink.write([row('a', 4), row('b', 7), row('c', 2)], 7), 2, 'one late');
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
    await sink.write(rows, 8);
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
    t.equal(await sink.write(rows, rows.length), rows.length);
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
      await sink.write([...rows.values()].sort(byId), batch);
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
      await sink.write(rows.slice(from, from + 1000), 0);
    }
    const gone = ids.filter((_, n) => n % 3 === 0);
    const none = { price: null, stock: null };
    await sink.write(gone.map((id) => row(id, 9000, none)).sort(byId), 0);
    t.strictSame([...(await listedIn())].sort(), ids.filter((_, n) => n % 3 > 0).sort());
  });

  t.test(`${name}: one instance writes, the other one stands by until it ends`, async (t) => {
    const world = await makeWorld(t);
    const { sink: first } = await open(t, world);
    const second = world.make(OPTIONS);
    t.teardown(() => second.close());
    await t.rejects(second.open(), SinkTakenError);
    await first.write([row('a', 1)], 1);
    await first.close();
    await second.open();
    t.equal(await second.write([row('a', 2)], 2), 1);
    t.equal(await world.position(), 2);
  });

  t.test(`${name}: nothing is written for another data folder`, async (t) => {
    const world = await makeWorld(t);
    const { sink } = await open(t, world);
    await sink.write([row('a', 9)], 9);
    await sink.close();
    const other = world.make({ ...OPTIONS, identity: 'b'.repeat(32) });
    t.teardown(() => other.close());
    await t.rejects(other.open(), SinkForeignError);
    await other.close();
    t.strictSame(await world.rows(), [row('a', 9)]);
    await open(t, world);
    t.equal(await world.position(), 9, 'and its own goes on');
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
    const error = await sink.write(rows, 3).then(
      () => undefined,
      (refusal) => refusal,
    );
    t.ok(error, 'is refused');
    t.equal(sink.classify(error), 'validation');
    t.equal(await world.position(), 0);
    if (world.isCluster !== true) t.strictSame(await world.rows(), []);
    await sink.write([row('a', 1), row('c', 3)], 3);
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
    await sink.write([row('a', 1)], 1);
    await world.cutOff();
    const error = await sink.write([row('a', 2)], 2).then(
      () => undefined,
      (refusal) => refusal,
    );
    t.ok(error, 'the first call fails');
    t.equal(sink.classify(error), 'retryable');
    await sink.close();
    t.ok((await sink.open()) <= 1);
    t.equal(await sink.write([row('a', 2)], 2), 1);
  });
}
