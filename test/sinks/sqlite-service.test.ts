/** The whole service with a SQLite sink: what it has is what the service has, row by row. */
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import type { Service } from '../../src/service.ts';
import type { ProductRow } from '../../src/sinks/sink.ts';
import { polled } from '../helpers/bounded.ts';
import { WriteLoad } from '../helpers/clients/write-load.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import type { LogLine } from '../helpers/processes/service-process.ts';
import { sqlitePosition, sqliteRows } from '../helpers/sinks/sqlite-rows.ts';
import { storeRows } from './store-rows.ts';

const WAIT_MS_MAX = 60_000;
const FAST = { BATCH_FLUSH_INTERVAL: '10ms', BATCH_SIZE: '100' };

function caughtUp(service: Service, name = 'sqlite'): Promise<true> {
  const seq = service.path.progress.loadNextSeq() - 1;
  const stats = service.sinks.all.find((each) => each.name === name)?.stats;
  return polled(
    () => ((stats?.get('position') ?? 0) >= seq ? true : undefined),
    WAIT_MS_MAX,
    `the sink to reach ${seq}`,
  );
}

/** Waits for a line of the log: its thread says it by a message, and its state by a word of memory. */
function told(logged: readonly LogLine[], pattern: RegExp): Promise<LogLine> {
  return polled(() => logged.find(({ msg }) => pattern.test(msg)), WAIT_MS_MAX, String(pattern));
}

function same(t: Test, service: Service, path: string): readonly ProductRow[] {
  const rows = sqliteRows(path);
  t.strictSame(rows, storeRows(service.path.memory));
  return rows;
}

t.test('a sink follows, over stops of the service and changes while it is away', async (t) => {
  const dataDir = tempDir(t);
  const path = join(tempDir(t), 'products.db');
  const SINKS = `sqlite:${path}`;
  const first = await startReadyService(t, { DATA_DIR: dataDir, SINKS, ...FAST });
  const load = new WriteLoad(first.service, 11, 700);
  await load.send(5000);
  await caughtUp(first.service);
  t.ok(same(t, first.service, path).length > 600);
  t.ok(
    sqliteRows(path).some(({ price, stock }) => price === null && stock === null),
    'delisted',
  );
  await load.send(3000);
  const { seq } = load;
  t.equal(await first.service.stop(), true);
  t.equal(sqlitePosition(path), seq, 'a clean stop leaves nothing behind');

  const away = await startReadyService(t, { DATA_DIR: dataDir, ...FAST });
  const on = load.on(away.service);
  await on.send(4000);
  await away.service.stop();
  t.equal(sqlitePosition(path), seq);

  const again = await startReadyService(t, { DATA_DIR: dataDir, SINKS, ...FAST });
  await on.on(again.service).send(100);
  await caughtUp(again.service);
  same(t, again.service, path);
  const [sink] = again.service.sinks.all;
  t.ok((sink?.stats.get('rowsSent') ?? 0) < 1400, 'only what it lacked');
});

t.test('two sinks at once, one of them new', async (t) => {
  const dataDir = tempDir(t);
  const folder = tempDir(t);
  const [one, two] = [join(folder, 'one.db'), join(folder, 'two.db')];
  const first = await startReadyService(t, { DATA_DIR: dataDir, SINKS: `sqlite:${one}`, ...FAST });
  const load = new WriteLoad(first.service, 12, 50);
  await load.send(500);
  await first.service.stop();
  const SINKS = `sqlite:${one}, sqlite:${two}`;
  const second = await startReadyService(t, { DATA_DIR: dataDir, SINKS, ...FAST });
  await load.on(second.service).send(500);
  await caughtUp(second.service, 'sqlite');
  await caughtUp(second.service, 'sqlite-2');
  same(t, second.service, one);
  same(t, second.service, two);
});

t.test('a row that the file refuses goes to the dead letters, and the rest goes on', async (t) => {
  const dataDir = tempDir(t);
  const path = join(tempDir(t), 'products.db');
  const { service } = await startReadyService(t, {
    DATA_DIR: dataDir,
    SINKS: `sqlite:${path}`,
    ...FAST,
  });
  await caughtUp(service);
  const database = new DatabaseSync(path, { timeout: 10_000 });
  t.teardown(() => database.close());
  await polled(
    () => (service.sinks.all[0]?.stats.state === 'following' ? true : undefined),
    WAIT_MS_MAX,
    'the schema',
  );
  database.exec(`CREATE TRIGGER narrow BEFORE INSERT ON products WHEN NEW.stock > 990
    BEGIN SELECT RAISE(ABORT, 'stock is too high'); END`);
  await new WriteLoad(service, 13, 400).send(4000);
  await caughtUp(service);
  const letters = new DatabaseSync(join(dataDir, 'sinks', 'dead-letters.db'), { readOnly: true });
  t.teardown(() => letters.close());
  const kept = letters.prepare('SELECT * FROM letters ORDER BY product_id').all();
  const refused = storeRows(service.path.memory).filter(({ stock }) => (stock ?? 0) > 990);
  t.ok(refused.length > 0);
  t.strictSame(
    kept.map(({ product_id }) => product_id),
    refused.map(({ id }) => id),
    'those whose present state is refused, and no other',
  );
  t.match(kept[0], { source: 'sqlite', reason: 'stock is too high' });
  const good = storeRows(service.path.memory).filter(({ stock }) => (stock ?? 0) <= 990);
  const byId = new Map(sqliteRows(path).map((row) => [row.id, row]));
  for (const row of good) t.strictSame(byId.get(row.id), row);
});

t.test('a sink that was ahead of a restored copy of the folder is left alone', async (t) => {
  const dataDir = tempDir(t);
  const path = join(tempDir(t), 'products.db');
  const SINKS = `sqlite:${path}`;
  const first = await startReadyService(t, { DATA_DIR: dataDir, SINKS, ...FAST });
  const load = new WriteLoad(first.service, 16, 20);
  await load.send(100);
  await caughtUp(first.service);
  await first.service.stop();
  const copy = join(tempDir(t), 'copy');
  cpSync(dataDir, copy, { recursive: true });
  const second = await startReadyService(t, { DATA_DIR: dataDir, SINKS, ...FAST });
  const after = load.on(second.service);
  await after.send(50);
  await caughtUp(second.service);
  await second.service.stop();
  const rows = sqliteRows(path);

  // The copy goes on, past where the sink is, before it meets the sink.
  const restored = await startReadyService(t, { DATA_DIR: copy, ...FAST });
  const otherwise = load.on(restored.service, 17);
  await otherwise.send(200);
  await restored.service.stop();
  const { service, logged } = await startReadyService(t, { DATA_DIR: copy, SINKS, ...FAST });
  await otherwise.on(service).send(100);
  const [sink] = service.sinks.all;
  await polled(
    () => (sink?.stats.state === 'foreign' ? true : undefined),
    WAIT_MS_MAX,
    'the sink to be told foreign',
  );
  await told(logged, /up to seq 150 that this service never had/);
  await service.stop();
  t.strictSame(sqliteRows(path), rows);

  const whole = await startReadyService(t, { DATA_DIR: dataDir, SINKS, ...FAST });
  await after.on(whole.service).send(50);
  await caughtUp(whole.service);
  same(t, whole.service, path);
});

t.test('a sink that is behind a restored copy of the folder follows it', async (t) => {
  const dataDir = tempDir(t);
  const path = join(tempDir(t), 'products.db');
  const SINKS = `sqlite:${path}`;
  const first = await startReadyService(t, { DATA_DIR: dataDir, SINKS, ...FAST });
  const load = new WriteLoad(first.service, 19, 20);
  await load.send(100);
  await caughtUp(first.service);
  await first.service.stop();
  const copy = join(tempDir(t), 'copy');
  cpSync(dataDir, copy, { recursive: true });
  const restored = await startReadyService(t, { DATA_DIR: copy, SINKS, ...FAST });
  await load.on(restored.service).send(100);
  await caughtUp(restored.service);
  same(t, restored.service, path);
});

t.test("another data folder's sink is left alone, and the service goes on", async (t) => {
  const path = join(tempDir(t), 'products.db');
  const first = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    SINKS: `sqlite:${path}`,
    ...FAST,
  });
  await new WriteLoad(first.service, 14, 20).send(100);
  await caughtUp(first.service);
  await first.service.stop();
  const rows = sqliteRows(path);
  const { service, logged } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    SINKS: `sqlite:${path}`,
    ...FAST,
  });
  await new WriteLoad(service, 15, 20).send(200);
  const [sink] = service.sinks.all;
  await polled(
    () => (sink?.stats.state === 'foreign' ? true : undefined),
    WAIT_MS_MAX,
    'the sink to be told foreign',
  );
  await told(logged, /another data folder/);
  t.equal(await service.stop(), true, 'the stop does not wait for it');
  t.strictSame(sqliteRows(path), rows);
});
