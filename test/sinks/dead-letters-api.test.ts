/** Dead letters on the whole service: both kinds, listed, sent again, thrown away, over restarts. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { sqliteRows } from '../helpers/sinks/sqlite-rows.ts';
import { DEADLY_ALWAYS, DEADLY_APPLIER, installDeaths } from '../helpers/threads/deadly-prices.ts';

const WAIT_MS_MAX = 60_000;
const PATH = '/api/v1/dead-letters';
const FAST = { BATCH_FLUSH_INTERVAL: '5ms', BATCH_SIZE: '10' };

interface Letter {
  readonly id: number;
  readonly source: string;
  readonly product_id: string;
  readonly seq: number;
  readonly content: { readonly stock: number };
  readonly reason: string;
  readonly times: number;
}

async function lettersOf(client: ApiClient, query = ''): Promise<Letter[]> {
  const { status, text } = await client.send('GET', PATH + query);
  if (status !== 200) throw new Error(text);
  return JSON.parse(text).letters;
}

/** A service whose sink takes no stock above 100; products 0 … 4 have more. */
async function narrowSink(t: Test) {
  const dataDir = tempDir(t);
  const path = join(tempDir(t), 'products.db');
  const env = { DATA_DIR: dataDir, SINKS: `sqlite:${path}`, ...FAST };
  const { service, port } = await startReadyService(t, env);
  const client = new ApiClient(port);
  const stats = service.sinks.all[0]?.stats;
  const reach = (seq: number) =>
    polled(
      () => ((stats?.get('position') ?? 0) >= seq ? true : undefined),
      WAIT_MS_MAX,
      `the sink to reach ${seq}`,
    );
  await client.send('POST', '/api/v1/events', body('first', 1), {
    'content-type': 'application/json',
  });
  await reach(1);
  const database = new DatabaseSync(path, { timeout: 10_000 });
  t.teardown(() => database.close());
  database.exec(`CREATE TRIGGER narrow BEFORE INSERT ON products WHEN NEW.stock > 100
    BEGIN SELECT RAISE(ABORT, 'too narrow'); END`);
  for (let n = 0; n < 5; n++) {
    await client.send('POST', '/api/v1/events', body(`p${n}`, 200 + n), {
      'content-type': 'application/json',
    });
  }
  await reach(6);
  return { client, database, path, dataDir, reach, service };
}

function body(productId: string, stock: number, price = 1): string {
  return JSON.stringify({ product_id: productId, price, stock });
}

t.test('letters of a sink: paged, filtered, sent again, thrown away', async (t) => {
  const { client, database, path, reach } = await narrowSink(t);
  const all = await lettersOf(client);
  t.strictSame(
    all.map(({ product_id }) => product_id),
    ['p0', 'p1', 'p2', 'p3', 'p4'],
  );
  t.match(all[0], {
    source: 'sqlite',
    seq: 2,
    content: { stock: 200 },
    reason: 'too narrow',
    times: 1,
  });
  const page = JSON.parse((await client.send('GET', `${PATH}?limit=2`)).text);
  t.equal(page.letters.length, 2);
  const next = JSON.parse((await client.send('GET', `${PATH}?limit=9&cursor=${page.next}`)).text);
  t.equal(next.letters.length, 3);
  t.equal(next.next, null);
  t.equal((await lettersOf(client, '?product_id=p3')).length, 1);
  t.equal((await lettersOf(client, '?source=postgres')).length, 0);
  t.equal((await client.send('GET', `${PATH}?limit=0`)).status, 400);
  t.equal((await client.send('GET', `${PATH}?nonsense=1`)).status, 400);

  const [first, second, third, fourth, fifth] = all;
  const redrive = async (id: number) => await client.send('POST', `${PATH}/${id}/redrive`);
  /** What is said: `queued` where the sink is not as fast as somebody waits. */
  const redriven = async (letter: Letter | undefined): Promise<string> =>
    JSON.parse((await redrive(letter?.id ?? 0)).text).status;
  const isRefused = async () => (await redriven(first)) === 'refused' || undefined;
  await polled(isRefused, WAIT_MS_MAX, 'it to be refused again');
  t.ok(((await lettersOf(client, '?product_id=p0'))[0]?.times ?? 0) >= 2, 'and counted up');
  database.exec('DROP TRIGGER narrow');
  const said: string[] = [];
  for (const letter of [first, fourth, fifth]) {
    if (!said.includes('written')) said.push(await redriven(letter));
  }
  t.ok(said.includes('written'), said.join(', '));
  const isSettled = async () => (await redrive(first?.id ?? 0)).status === 404 || undefined;
  await polled(isSettled, WAIT_MS_MAX, 'it to be settled');
  t.ok(sqliteRows(path).some(({ id, stock }) => id === 'p0' && stock === 200));

  t.equal((await client.send('DELETE', `${PATH}/${second?.id}`)).status, 200);
  t.equal((await client.send('DELETE', `${PATH}/${second?.id}`)).status, 404);
  t.equal((await client.send('DELETE', `${PATH}/x`)).status, 404);
  await client.send('POST', '/api/v1/events', body('p2', 5), {
    'content-type': 'application/json',
  });
  await reach(7);
  t.notOk(
    (await lettersOf(client)).some(({ id }) => id === third?.id),
    'a newer state that the sink takes settles it',
  );
});

t.test(
  'letters outlive a stop; those of a sink that is configured no more can only go',
  async (t) => {
    const { client, dataDir, service } = await narrowSink(t);
    const [letter] = await lettersOf(client);
    await service.stop();
    const after = await startReadyService(t, { DATA_DIR: dataDir });
    const next = new ApiClient(after.port);
    t.equal((await lettersOf(next)).length, 5);
    t.equal((await next.send('POST', `${PATH}/${letter?.id}/redrive`)).status, 409);
    t.equal((await next.send('DELETE', `${PATH}/${letter?.id}`)).status, 200);
    t.equal((await lettersOf(next)).length, 4);
  },
);

t.test('an event that killed its applier twice is kept, and sent again as a new one', async (t) => {
  const DATA_DIR = tempDir(t);
  installDeaths();
  const before = await startReadyService(t, { DATA_DIR }, { threads: { applier: DEADLY_APPLIER } });
  const client = new ApiClient(before.port);
  const json = { 'content-type': 'application/json' };
  await client.send('POST', '/api/v1/events?ack=applied', body('deadly', 7, DEADLY_ALWAYS), json);
  const letter = await polled(
    async () => (await lettersOf(client))[0],
    WAIT_MS_MAX,
    'the dead event to be kept',
  );
  t.match(letter, { source: 'applier', product_id: 'deadly', seq: 1, content: { stock: 7 } });
  await before.service.stop();

  const after = await startReadyService(t, { DATA_DIR });
  const next = new ApiClient(after.port);
  const [kept] = await lettersOf(next);
  t.equal(kept?.id, letter.id);
  const file = join(DATA_DIR, 'sinks', 'dead-letters.db');
  const database = new DatabaseSync(file, { timeout: 10_000 });
  t.teardown(() => database.close());
  database.exec('CREATE TEMP TABLE saved AS SELECT * FROM letters');
  const answer = await next.send('POST', `${PATH}/${letter.id}/redrive`);
  t.match(JSON.parse(answer.text), { status: 'sent', seq: 2 });
  t.strictSame(await lettersOf(next), []);
  const product = await next.send('GET', '/api/v1/products/deadly?min_seq=2&wait=30s');
  t.match(JSON.parse(product.text), { price: DEADLY_ALWAYS, stock: 7 });
  // As if it had been killed before the letter was removed.
  database.exec('INSERT INTO letters SELECT * FROM saved');
  const again = await next.send('POST', `${PATH}/${letter.id}/redrive`);
  t.match(JSON.parse(again.text), { status: 'sent', seq: 2 }, 'it is not applied twice');
  t.strictSame(await lettersOf(next), []);
});

t.test('metrics go on when the file can not be read, with the last count', async (t) => {
  const { dataDir, service } = await narrowSink(t);
  await service.stop();
  const file = join(dataDir, 'sinks', 'dead-letters.db');
  const scrape = async (port: number) => {
    const { status, text } = await new ApiClient(port).send('GET', '/metrics');
    return { status, count: /^product_service_dead_letters (\d+)$/m.exec(text)?.[1] };
  };
  const holder = new DatabaseSync(file, { timeout: 10_000 });
  holder.exec('BEGIN IMMEDIATE');
  const { port, service: second } = await startReadyService(t, { DATA_DIR: dataDir });
  t.equal((await scrape(port)).status, 200, 'somebody holds it');
  holder.exec('ROLLBACK');
  holder.close();
  const counted = async () => ((await scrape(port)).count === '5' ? true : undefined);
  await polled(counted, WAIT_MS_MAX, 'it to be counted');
  writeFileSync(file, 'no database at all'.repeat(1000));
  t.strictSame(await scrape(port), { status: 200, count: '5' }, 'it is damaged');
  await second.stop();
  for (const end of ['-wal', '-shm']) rmSync(file + end, { force: true });
  writeFileSync(file, 'no database at all'.repeat(1000));
  const third = await startReadyService(t, { DATA_DIR: dataDir });
  t.equal((await scrape(third.port)).status, 200, 'it was damaged from the beginning');
});
