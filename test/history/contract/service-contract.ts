/**
 * The history over HTTP, of a real service, wherever it is kept: late events, stale ones, refused ones, restarts. Run
 * on both by service.test.ts and in test/system-tools. Tests only.
 */
import t, { type Test } from 'tap';
import { ApiClient } from '../../helpers/clients/api-client.ts';
import { tempDir } from '../../helpers/disks/temp-dir.ts';
import { startReadyService } from '../../helpers/processes/service-in-process.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const START_MS = Date.UTC(2026, 0, 1);
const day = (n: number) => new Date(START_MS + n * DAY_MS).toISOString();

async function startClient(t: Test, dataDir: string, env: Record<string, string> = {}) {
  const { service, port, logged } = await startReadyService(t, {
    DATA_DIR: dataDir,
    HISTORY: 'forever',
    ...env,
  });
  const client = new ApiClient(port, 1);
  t.teardown(() => client.close());
  let seq = service.path.progress.loadNextSeq() - 1;
  const send = async (method: string, path: string, body?: object, headers = {}) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const answer = await client.send(method, path, text, headers);
    seq = Math.max(seq, JSON.parse(answer.text).seq ?? 0);
    return answer;
  };
  const post = async (id: string, price: number, stock: number, occurred_at?: string) => {
    const body = { product_id: id, price, stock, occurred_at };
    return (await send('POST', '/api/v1/events', body)).status;
  };
  const get = async (path: string, headers = {}) => {
    const query = path.includes('?') ? '&' : '?';
    const answer = await client.send(
      'GET',
      `/api/v1/products${path}${query}min_seq=${seq}&wait=30s`,
      undefined,
      headers,
    );
    return answer;
  };
  const json = async (path: string) => JSON.parse((await get(path)).text);
  return { service, client, send, post, get, json, logged, port };
}

/** Time and value of each entry. */
function values({ entries }: { entries: { at: string; value: number | null }[] }) {
  return entries.map(({ at, value }) => [at, value]);
}

/** `makeEnv`: what says where the history is kept. */
export function describeHistoryService(
  name: string,
  makeEnv: (t: Test) => Promise<Record<string, string>>,
): void {
  t.test(
    `${name}: a late event takes its place; a refused one and a repetition take none`,
    async (t) => {
      const { post, send, json, get } = await startClient(t, tempDir(t), await makeEnv(t));
      await post('a', 100, 5, day(0));
      await post('a', 80, 5, day(60));
      await post('a', 70, 4, day(45));
      await post('a', 100, 4, day(46));
      const keyed = { product_id: 'a', price: 60, stock: 4, occurred_at: day(61) };
      t.equal((await send('POST', '/api/v1/events', keyed, { 'if-match': '"999"' })).status, 412);
      const key = { 'idempotency-key': 'k' };
      const again = { product_id: 'b', price: 1, stock: 1, occurred_at: day(1) };
      await send('POST', '/api/v1/events', again, key);
      await send('POST', '/api/v1/events', again, key);
      t.strictSame(values(await json('/a/history')), [
        [day(0), 100],
        [day(45), 70],
        [day(46), 100],
        [day(60), 80],
      ]);
      t.strictSame(values(await json('/a/history?field=stock')), [
        [day(0), 5],
        [day(45), 4],
        [day(60), 5],
      ]);
      t.equal((await json('/b/history')).entries.length, 1);
      const page = await json(`/a/history?from=${day(50)}&to=${day(60)}`);
      t.strictSame(values(page), [[day(46), 100]], 'what was in force when it begins');
      const first = await json('/a/history?limit=3');
      const second = await json(`/a/history?limit=3&cursor=${first.next}`);
      t.strictSame([...values(first), ...values(second)].length, 4);
      t.equal(second.next, null);

      const csv = await get('/a/history?limit=1', { accept: 'text/csv' });
      t.equal(csv.text, `at,value,seq\r\n${day(0)},100,1\r\n`);
      t.equal(csv.headers['x-next-cursor']?.length, 16);
      const lines = await get('/a/history?limit=1', { accept: 'application/x-ndjson' });
      t.equal(lines.text, `{"at":"${day(0)}","value":100,"seq":1}\n`);

      t.match(await json('/a/prior-price'), {
        id: 'a',
        price: 80,
        reduced: true,
        reduced_at: day(60),
        prior_price: 70,
        prior_price_at: day(45),
        window: { from: day(30), to: day(60) },
        younger: false,
        complete: true,
      });
      t.match(await json('/a/prior-price?days=7'), { prior_price: 100, window: { from: day(53) } });
      t.match(await json(`/a?at=${day(45)}`), {
        id: 'a',
        at: day(45),
        price: 70,
        stock: 4,
        price_at: day(45),
        complete: true,
        whole_from: null,
      });
      t.equal((await get(`/a?at=${day(-1)}`)).status, 404, 'before its first event');
    },
  );

  t.test(`${name}: many at once: by id, page by page, and all in a stream`, async (t) => {
    const { post, send, json, get } = await startClient(t, tempDir(t), await makeEnv(t));
    for (let i = 0; i < 40; i++) {
      await post(`p${i}`, 100 + i, 1, day(0));
      await post(`p${i}`, 50 + i, 1, day(40));
    }
    await send('DELETE', `/api/v1/products/p0?occurred_at=${day(41)}`);
    const prior = (i: number) => ({
      id: `p${i}`,
      price: 50 + i,
      prior_price: 100 + i,
      complete: true,
    });
    const some = await json('?view=prior-price&id=p3&id=p0&id=nope&id=p5');
    t.match(some, { products: [prior(3), prior(5)], missing: ['p0', 'nope'] });
    const all: { id: string }[] = [];
    for (let cursor = ''; ; ) {
      const page = await json(`?view=prior-price&limit=16${cursor}`);
      all.push(...page.products);
      if (page.next === null) break;
      cursor = `&cursor=${page.next}`;
    }
    const stream = await get('?view=prior-price', { accept: 'application/x-ndjson' });
    const lines = stream.text
      .trimEnd()
      .split('\n')
      .map((line): { id: string } => JSON.parse(line));
    const byId = (a: { id: string }, b: { id: string }) => (a.id < b.id ? -1 : 1);
    t.strictSame(lines.sort(byId), all.sort(byId));
    t.equal(lines.length, 39);
    t.match(
      lines.find(({ id }) => id === 'p7'),
      prior(7),
    );
  });

  t.test(`${name}: after a restart the history is the same and goes on`, async (t) => {
    const dataDir = tempDir(t);
    const env = await makeEnv(t);
    const before = await startClient(t, dataDir, env);
    await before.post('a', 100, 5, day(0));
    await before.send('DELETE', `/api/v1/products/a?occurred_at=${day(10)}`);
    await before.post('a', 90, 5);
    const history = await before.json('/a/history');
    t.equal(history.entries.length, 3);
    await before.service.stop();

    const after = await startClient(t, dataDir, env);
    t.strictSame(await after.json('/a/history'), history);
    await after.post('a', 95, 5, day(5));
    t.strictSame(values(await after.json('/a/history')).slice(0, 3), [
      [day(0), 100],
      [day(5), 95],
      [day(10), null],
    ]);
    await after.service.stop();

    const off = await startClient(t, dataDir, { ...env, HISTORY: 'off' });
    for (const path of ['/a/history', '/a/prior-price', `/a?at=${day(0)}`, '?view=prior-price']) {
      const { status, text } = await off.get(path);
      t.strictSame([status, JSON.parse(text).code], [404, 'history-off'], path);
    }
    await off.post('a', 91, 5);
    await off.service.stop();

    const again = await startClient(t, dataDir, env);
    t.equal((await again.json('/a/history')).entries.at(-1).value, 91, 'what came meanwhile');
    t.equal((await again.json('/a/history')).whole_from, null, 'and nothing is missing');
  });

  t.test(`${name}: what is wrong with a question is said`, async (t) => {
    const { post, get, client } = await startClient(t, tempDir(t), await makeEnv(t));
    await post('a', 1, 1);
    const faults = [
      '/a/history?field=name',
      '/a/history?from=yesterday',
      '/a/history?limit=0',
      '/a/history?cursor=AAAA',
      '/a/history?view=full',
      '/a/prior-price?days=0',
      '/a/prior-price?gradual=last',
      '/a?at=2026-01-01',
      `/a?at=${day(0)}&view=full`,
      '?days=7',
      '?view=prior-price&days=4000',
    ];
    for (const path of faults) {
      const { status, text } = await get(path);
      t.strictSame([status, JSON.parse(text).code], [400, 'invalid-parameter'], path);
    }
    t.equal((await get('/nope/history')).status, 404);
    t.equal((await get('/nope/prior-price')).status, 404);
    t.equal((await get('/a/history', { accept: 'text/html' })).status, 406);
    const waits = await client.send('GET', '/api/v1/products/a/prior-price?min_seq=99&wait=10ms');
    t.strictSame([waits.status, JSON.parse(waits.text).code], [503, 'not-yet-applied']);
  });
}
