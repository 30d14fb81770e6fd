/** The contract of histories, on Debian's PostgreSQL, and what only a server can do to a history. */
import t, { type Test } from 'tap';
import { HistoryForeignError, HistoryTakenError } from '../../src/history/history-store.ts';
import { HistoryWriter } from '../../src/history/history-writer.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { type PostgresServer, startPostgres } from '../helpers/servers/postgres-server.ts';
import { describeHistory } from '../history/contract/history-contract.ts';
import { type PostgresWorld, PostgresWorlds } from '../history/contract/postgres-world.ts';
import { describeHistoryService } from '../history/contract/service-contract.ts';

const MODEL_RUNS = 5;
const WAIT_MS_MAX = 60_000;
/** What is given up after that must not be on a machine that stands still for a moment. */
const TIMEOUT_MS = 5000;

let server: PostgresServer;
let worlds: PostgresWorlds;

t.before(async () => {
  server = await startPostgres(t, { fsync: 'off' });
  worlds = new PostgresWorlds(server);
});

describeHistory('PostgreSQL', async () => worlds.next(), MODEL_RUNS);

describeHistoryService('PostgreSQL', async () => ({
  SINKS: `${server.url}?schema=${worlds.schema()}`,
  BATCH_FLUSH_INTERVAL: '10ms',
  HISTORY_IN: 'postgres',
}));

async function openWriter(t: Test, world: PostgresWorld, timeoutMs = 10_000) {
  const store = world.makeStore('a', timeoutMs);
  t.teardown(() => store.close());
  const writer = new HistoryWriter(store);
  await writer.open();
  const say = async (seq: number) => {
    const said = { seq, price: seq, stock: 1, occurredAtMs: seq, isArrival: false };
    await writer.take([{ ...said, productId: 'a', expectedSeq: 0, isJudged: true }]);
    await writer.commit(seq);
  };
  return { store, writer, say };
}

t.test('PostgreSQL: one instance writes, and one that was taken over nothing more', async (t) => {
  const world = worlds.next();
  const { store, say } = await openWriter(t, world);
  await say(1);
  const second = world.makeStore();
  t.teardown(() => second.close());
  await t.rejects(second.open(), HistoryTakenError);
  await server.query(`UPDATE ${world.schema}.product_service_history_place SET epoch = epoch + 1`);
  await t.rejects(say(2), HistoryTakenError);
  await t.rejects(store.prune(5, 0), HistoryTakenError);
  await store.close();
  const after = await openWriter(t, world);
  t.equal(after.writer.place, 1);
  t.equal(await world.runs(), 2, 'nothing of what was refused');
});

t.test('PostgreSQL: instances of a cluster look on while another one writes', async (t) => {
  const world = worlds.next();
  const shared = (...owner: Parameters<PostgresWorld['makeShared']>) => {
    const made = world.makeShared(...owner);
    t.teardown(() => Promise.all([made.store.close(), made.standby.close()]));
    return made;
  };
  /** Closes its store; resolves when the server has ended the session. */
  const leave = async ({ store, standby }: ReturnType<PostgresWorld['makeShared']>) => {
    await store.close();
    const isFree = async () => (await standby.look()).isFree || undefined;
    await polled(isFree, WAIT_MS_MAX, 'the lock to be free');
  };
  const [a, b] = [shared('a'), shared('a')];
  await a.store.open();
  t.strictSame(await b.standby.look(), { seq: 0, isFree: false });
  await a.store.write([], { seq: 7, prunedToMs: 0 });
  t.strictSame(await b.standby.look(), { seq: 7, isFree: false });
  await t.rejects(b.store.open(), HistoryTakenError);
  await t.rejects(a.store.clear('the log ends at 5'), HistoryTakenError, 'another one has more');
  await leave(a);
  t.strictSame(await b.standby.look(), { seq: 7, isFree: true });
  t.match(await b.store.open(), { seq: 7 });
  t.equal((await b.standby.look()).isFree, false);
  await leave(b);

  // The next generation goes on if it has all of it, and what is left of the one before does not any more.
  const shorter = shared('a/2', { identity: 'a', seqMax: 6 });
  await t.rejects(shorter.store.open(), HistoryForeignError);
  await t.rejects(shorter.standby.look(), HistoryForeignError);
  const next = shared('a/2', { identity: 'a', seqMax: 7 });
  t.strictSame(await next.standby.look(), { seq: undefined, isFree: true });
  t.match(await next.store.open(), { seq: 7 });
  t.strictSame(await next.standby.look(), { seq: 7, isFree: false });
  await leave(next);
  await t.rejects(a.store.open(), HistoryForeignError);
  await t.rejects(b.standby.look(), HistoryForeignError);
  t.match(await next.store.open(), { seq: 7 }, 'now it is called so');
});

t.test("PostgreSQL: another data folder's history is left alone, and a later one", async (t) => {
  const world = worlds.next();
  const { store, say } = await openWriter(t, world);
  await say(1);
  await t.rejects(store.clear('it has events up to seq 1, the log ends at 0'), HistoryForeignError);
  await store.close();
  const other = world.makeStore('b');
  t.teardown(() => other.close());
  await t.rejects(other.open(), HistoryForeignError);
  const place = `${world.schema}.product_service_history_place`;
  await server.query(`UPDATE ${place} SET identity = 'b'`);
  t.match(await other.open(), { seq: 1 }, 'unless it is told that it is its own');
  await other.close();
  await server.query(`UPDATE ${place} SET identity = 'a'`);
  await server.query(`INSERT INTO ${world.schema}.product_service_history_schema VALUES (99)`);
  await t.rejects(world.makeStore().open(), /version 99/);
  t.equal(await world.runs(), 2);
});

t.test('PostgreSQL: a server that stands still is given up, and gone on with', async (t) => {
  const world = worlds.next();
  const { store, writer, say } = await openWriter(t, world, TIMEOUT_MS);
  await say(1);
  server.process.pause();
  await t.rejects(say(2));
  await store.close();
  await t.rejects(store.open());
  server.process.goOn();
  await polled(
    async () => {
      try {
        await writer.open();
        return true;
      } catch {
        return undefined;
      }
    },
    WAIT_MS_MAX,
    'the server to be back',
  );
  t.ok(writer.place <= 2);
  await say(3);
  t.equal((await store.find(['a']))[0]?.version, 3);
});

t.test('PostgreSQL: people query it beside the products', async (t) => {
  const world = worlds.next();
  const { say } = await openWriter(t, world);
  await say(1_767_225_600_001);
  const { rows } = await server.query(
    `SELECT product_id, field, at, value FROM ${world.schema}.product_history ORDER BY field`,
  );
  t.match(rows, [
    { product_id: 'a', field: 'price', at: new Date(1_767_225_600_001), value: 1_767_225_600_001 },
    { product_id: 'a', field: 'stock', value: 1 },
  ]);
});

t.test('a database that is down loses nothing and holds nobody up', async (t) => {
  const own = await startPostgres(t);
  const { port, service } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    SINKS: own.url,
    HISTORY: 'forever',
    HISTORY_IN: 'postgres',
    CONNECTION_TIMEOUT: '1s',
    INITIAL_RETRY_DELAY: '5ms',
    MAX_RETRY_DELAY: '50ms',
    CIRCUIT_BREAKER_TIMEOUT: '100ms',
  });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const prior = (query: string) => client.get(`/api/v1/products/a/prior-price?${query}`);
  const check = async () => {
    const { status, text } = await client.get('/readyz?verbose');
    t.equal(status, 200);
    const { checks } = JSON.parse(text) as { checks: { name: string; detail?: string }[] };
    return checks.find(({ name }) => name === 'history')?.detail ?? '';
  };
  await client.post({ product_id: 'a', price: 100, stock: 1, occurred_at: '2026-01-01T00:00:00Z' });
  // CONNECTION_TIMEOUT is short, and a machine may stand still.
  const isTold = async () => (await prior('min_seq=1&wait=30s')).status === 200 || undefined;
  await polled(isTold, WAIT_MS_MAX, 'the history to be told');
  await own.process.kill();
  for (let n = 2; n <= 50; n++) {
    const posted = await client.post({ product_id: 'a', price: 100 - n, stock: 1 });
    t.equal(posted.status, 202);
  }
  const down = await prior('');
  t.strictSame([down.status, JSON.parse(down.text).code], [503, 'history-unavailable']);
  await polled(
    async () =>
      /^\d+ events behind, .*, [1-9]\d* failed writes$/.test(await check()) ? true : undefined,
    WAIT_MS_MAX,
    'a failed write to be told of',
  );
  await own.process.start();
  const back = await polled(
    async () => {
      const { status, text } = await prior('min_seq=50&wait=30s');
      return status === 200 ? JSON.parse(text) : undefined;
    },
    WAIT_MS_MAX,
    'the history to have caught up',
  );
  t.match(back, { price: 50, prior_price: 51, complete: true, history_seq: 50 });
  await service.stop();
  const { rows } = await own.query('SELECT seq FROM product_service_history_place');
  t.equal(Number(rows[0].seq), 50);
});
