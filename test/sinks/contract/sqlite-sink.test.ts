/** The contract of sinks, on a file of SQLite. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { SinkTakenError } from '../../../src/sinks/sink.ts';
import { SqliteSink } from '../../../src/sinks/sqlite/sqlite-sink.ts';
import { tempDir } from '../../helpers/disks/temp-dir.ts';
import { sqlitePosition, sqliteRows } from '../../helpers/sinks/sqlite-rows.ts';
import { describeSink, OPTIONS, row, type SinkWorld, write } from './sink-contract.ts';

async function sqliteWorld(t: Test): Promise<SinkWorld & { readonly path: string }> {
  const path = join(tempDir(t), 'products.db');
  return {
    path,
    make: (options) => new SqliteSink(path, options),
    rows: async () => sqliteRows(path),
    position: async () => sqlitePosition(path),
    refuseHighPrice: async () => {
      const database = new DatabaseSync(path);
      database.exec(`CREATE TRIGGER narrow BEFORE INSERT ON products WHEN NEW.price > 1000
        BEGIN SELECT RAISE(ABORT, 'price is too high'); END`);
      database.close();
    },
  };
}

describeSink('SQLite', sqliteWorld);

t.test('SQLite: whoever was taken over although it lives writes nothing more', async (t) => {
  const world = await sqliteWorld(t);
  const sink = world.make(OPTIONS);
  await sink.open();
  t.teardown(() => sink.close());
  const database = new DatabaseSync(world.path);
  database.exec('UPDATE product_service_position SET epoch = epoch + 1');
  database.close();
  await t.rejects(write(sink, [row('a', 1)], 1), SinkTakenError);
  await t.rejects(sink.beat(), SinkTakenError);
  t.strictSame(await world.rows(), []);
  t.equal(await world.position(), 0);
});

t.test('SQLite: another program that holds the file is waited for, within bounds', async (t) => {
  const world = await sqliteWorld(t);
  const sink = world.make({ ...OPTIONS, timeoutMs: 100 });
  await sink.open();
  t.teardown(() => sink.close());
  const other = new DatabaseSync(world.path);
  other.exec('BEGIN IMMEDIATE');
  const error = await write(sink, [row('a', 1)], 1).then(
    () => undefined,
    (refusal) => refusal,
  );
  t.equal(sink.classify(error), 'retryable');
  other.exec('ROLLBACK');
  other.close();
  t.equal(await write(sink, [row('a', 1)], 1), 1);
});

t.test('SQLite: people query it with joins, times and a mark for what is delisted', async (t) => {
  const world = await sqliteWorld(t);
  const sink = world.make(OPTIONS);
  await sink.open();
  t.teardown(() => sink.close());
  await write(sink, [row('a', 1, { price: 49.99 }), row('b', 2, { price: null, stock: null })], 2);
  const database = new DatabaseSync(world.path, { readOnly: true });
  t.teardown(() => database.close());
  const query = `SELECT id, price, listed, typeof(stock) AS stock, julianday(updated_at) > 2460000 AS is_time
    FROM products ORDER BY id`;
  t.strictSame(
    database
      .prepare(query)
      .all()
      .map((each) => ({ ...each })),
    [
      { id: 'a', price: 49.99, listed: 1, stock: 'integer', is_time: 1 },
      { id: 'b', price: null, listed: 0, stock: 'null', is_time: 1 },
    ],
  );
});

t.test('SQLite: a file that a later version has written is left alone', async (t) => {
  const world = await sqliteWorld(t);
  const database = new DatabaseSync(world.path);
  database.exec('PRAGMA user_version = 99');
  database.close();
  await t.rejects(world.make(OPTIONS).open(), /version 99/);
});
