/** The contract of sinks, on Debian's PostgreSQL, and what only a server can do to a sink. */
import pg from 'pg';
import t, { type Test } from 'tap';
import { PostgresSink } from '../../src/sinks/postgres/postgres-sink.ts';
import { type Sink, type SinkPlace, SinkTakenError } from '../../src/sinks/sink.ts';
import { polled } from '../helpers/bounded.ts';
import { type PostgresServer, startPostgres } from '../helpers/servers/postgres-server.ts';
import { postgresPosition, postgresRows } from '../helpers/sinks/postgres-rows.ts';
import {
  describeSink,
  OPTIONS,
  row,
  type SinkWorld,
  write,
} from '../sinks/contract/sink-contract.ts';

const WAIT_MS_MAX = 60_000;
/** What is given up after that must not be on a machine that stands still for a moment. */
const TIMEOUT_MS = 5000;

let server: PostgresServer;
let schemas = 0;

t.before(async () => {
  server = await startPostgres(t, { fsync: 'off' });
});

async function postgresWorld(_t: Test): Promise<SinkWorld & { readonly schema: string }> {
  const schema = `world_${++schemas}`;
  return {
    schema,
    make: (options) => new PostgresSink({ url: server.url, schema }, options),
    rows: () => postgresRows(server, schema),
    position: () => postgresPosition(server, schema),
    refuseHighPrice: async () => {
      await server.query(`ALTER TABLE ${schema}.products ALTER price TYPE numeric(6,2)`);
      await server.query(`ALTER TABLE ${schema}.products ADD CHECK (price <= 1000)`);
    },
    cutOff: async () => {
      await server.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'product-service'",
      );
    },
  };
}

describeSink('PostgreSQL', postgresWorld);

/** Opens it as soon as the server has ended the sessions before. */
function reopened(sink: Sink): Promise<SinkPlace> {
  const open = async () => {
    try {
      return await sink.open();
    } catch {
      await sink.close();
      return undefined;
    }
  };
  return polled(open, WAIT_MS_MAX, 'the server to be back');
}

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

t.test('PostgreSQL: whoever was taken over although it lives writes nothing more', async (t) => {
  const world = await postgresWorld(t);
  const sink = world.make(OPTIONS);
  t.teardown(() => sink.close());
  await sink.open();
  await server.query(`UPDATE ${world.schema}.product_service_position SET epoch = epoch + 1`);
  await t.rejects(write(sink, [row('a', 1)], 1), SinkTakenError);
  await t.rejects(sink.beat(), SinkTakenError);
  t.strictSame(await world.rows(), []);
  t.equal(await world.position(), 0);
});

t.test(
  'PostgreSQL: a column that is too narrow refuses rows, a missing one is a matter for somebody',
  async (t) => {
    const world = await postgresWorld(t);
    const sink = world.make(OPTIONS);
    t.teardown(() => sink.close());
    await sink.open();
    await server.query(`ALTER TABLE ${world.schema}.products ALTER stock TYPE smallint`);
    const narrow = await errorOf(write(sink, [row('a', 1, { stock: 70_000 })], 1));
    t.match(narrow, { code: '22003' });
    t.equal(sink.classify(narrow), 'validation');
    t.equal(await write(sink, [row('a', 1, { stock: 7 })], 1), 1);
    await server.query(`ALTER TABLE ${world.schema}.products DROP stock`);
    const missing = await errorOf(write(sink, [row('a', 2)], 2));
    t.equal(sink.classify(missing), 'not-retryable');
  },
);

t.test('PostgreSQL: a wrong password, a missing database, a server that is away', async (t) => {
  const classOf = async (url: string) => {
    const sink = new PostgresSink(
      { url, schema: 'public' },
      { ...OPTIONS, timeoutMs: WAIT_MS_MAX },
    );
    const error = await errorOf(sink.open());
    await sink.close();
    t.ok(error, url);
    return sink.classify(error);
  };
  t.equal(await classOf(server.url.replace('postgres@', 'nobody@')), 'not-retryable');
  t.equal(await classOf(server.url.replace(/postgres$/, 'nowhere')), 'not-retryable');
  t.equal(await classOf('postgres://postgres@127.0.0.1:1/postgres'), 'retryable');
});

t.test('PostgreSQL: a server that stands still is given up after CONNECTION_TIMEOUT', async (t) => {
  const world = await postgresWorld(t);
  const sink = world.make({ ...OPTIONS, timeoutMs: TIMEOUT_MS });
  t.teardown(() => sink.close());
  await sink.open();
  server.process.pause();
  const error = await errorOf(write(sink, [row('a', 1)], 1));
  t.equal(sink.classify(error), 'retryable');
  await sink.close();
  const opening = await errorOf(sink.open());
  t.equal(sink.classify(opening), 'retryable');
  await sink.close();
  server.process.goOn();
  const { position } = await reopened(sink);
  await write(sink, [row('a', 2)], 2);
  t.ok(position <= 1);
  t.strictSame(await world.rows(), [row('a', 2)]);
});

t.test('PostgreSQL: an open transaction of somebody else does not stop it for ever', async (t) => {
  const world = await postgresWorld(t);
  const sink = world.make({ ...OPTIONS, timeoutMs: TIMEOUT_MS });
  t.teardown(() => sink.close());
  await sink.open();
  await write(sink, [row('a', 1)], 1);
  const other = new pg.Client({ connectionString: server.url });
  await other.connect();
  t.teardown(() => other.end());
  await other.query('BEGIN');
  await other.query(`SELECT FROM ${world.schema}.products WHERE id = 'a' FOR UPDATE`);
  const error = await errorOf(write(sink, [row('a', 2)], 2));
  t.equal(sink.classify(error), 'retryable');
  await other.query('ROLLBACK');
  await sink.close();
  // Where the client gave up before the server did, the server may have done it.
  const { position } = await reopened(sink);
  t.ok(position === 1 || position === 2, `${position}`);
  t.equal(await write(sink, [row('a', 3)], 3), 1);
});

t.test('PostgreSQL: the schema of a later version is left alone', async (t) => {
  const world = await postgresWorld(t);
  const sink = world.make(OPTIONS);
  await sink.open();
  await sink.close();
  await server.query(`INSERT INTO ${world.schema}.product_service_schema VALUES (99)`);
  await t.rejects(sink.open(), /version 99/);
  await sink.close();
});
