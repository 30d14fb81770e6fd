/**
 * `GET /api/v1/products`: pages, products by id, what is refused. The real store behind the app.
 * (Over 300 lines: pages and selections of one route.)
 */
import t, { type Test } from 'tap';
import { PageCursors } from '../../src/http/requests/page-cursor.ts';
import type { ProductCatalogue } from '../../src/store/product-catalogue.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { names, OwnedStore } from '../helpers/models/owned-store.ts';

interface Brief {
  readonly id: string;
  readonly price: number | null;
  readonly stock: number | null;
}

interface Page {
  readonly products: readonly Brief[];
  readonly next: string | null;
}

function setup(t: Test, owned = new OwnedStore(4, 256 * 1024), placesName?: string) {
  const { store } = owned;
  const fakes = fakeApp({ products: store, catalogue: store, placesName });
  t.teardown(() => fakes.app.close());
  const get = (query: string, accept = 'application/json') =>
    fakes.app.inject({ url: `/api/v1/products${query}`, headers: { accept } });
  const page = async (query: string): Promise<Page> => {
    const response = await get(query);
    t.equal(response.statusCode, 200, response.body);
    return response.json();
  };
  return { ...fakes, owned, get, page };
}

/** All pages from the first; `between` runs before each further one. */
async function walk(page: (query: string) => Promise<Page>, limit: number, between = () => {}) {
  const products: Brief[] = [];
  let cursor = '';
  for (let pages = 1; ; pages++) {
    const { products: some, next } = await page(`?limit=${limit}${cursor}`);
    products.push(...some);
    if (next === null) return { products, pages };
    cursor = `&cursor=${next}`;
    between();
  }
}

t.test('the pages have every product exactly once', async (t) => {
  const { owned, page } = setup(t);
  const ids = names(250);
  for (const id of ids) owned.put(id);
  for (const limit of [1, 7, 250, 1000]) {
    const { products, pages } = await walk(page, limit);
    t.same(products.map(({ id }) => id).toSorted(), ids.toSorted(), `limit ${limit}`);
    t.equal(pages, Math.ceil(250 / limit), 'no empty page at the end');
  }
  t.equal((await page('')).products.length, 100, 'the default');
});

t.test('no product is missed or repeated while others are written', async (t) => {
  const { owned, page } = setup(t);
  const ids = names(300);
  for (const id of ids) owned.put(id);
  let n = 0;
  const { products } = await walk(page, 10, () => {
    for (let i = 0; i < 20; i++) {
      owned.put(`product-${(n * 13) % 300}`);
      owned.put(`new-${n++}`);
    }
  });
  const met = products.map(({ id }) => id);
  t.equal(new Set(met).size, met.length, 'nothing twice');
  t.same(met.filter((id) => !id.startsWith('new-')).toSorted(), ids.toSorted());
  t.ok(n > 300);
});

t.test('an empty catalogue is one empty page', async (t) => {
  const { get } = setup(t);
  const response = await get('');
  t.equal(response.body, '{"products":[],"next":null}');
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8');
  t.equal(response.headers.vary, 'accept, accept-encoding');
});

t.test('a page ends early where thousands of products are not listed', async (t) => {
  const { owned, page } = setup(t, new OwnedStore(1, 4 << 20));
  for (const id of names(9000)) {
    owned.put(id);
    owned.delist(id);
  }
  owned.put('the last');
  const first = await page('?limit=5');
  t.same(first.products, []);
  t.type(first.next, 'string');
  const { products, pages } = await walk(page, 5);
  t.same(
    products.map(({ id }) => id),
    ['the last'],
  );
  t.equal(pages, 3);
});

t.test('absent fields are null, delisted products are not there', async (t) => {
  const { owned, page, get } = setup(t);
  owned.put('priced', { price: 1.5, stock: undefined });
  owned.put('stocked', { price: undefined, stock: 3 });
  owned.put('gone');
  owned.delist('gone');
  const { products } = await page('');
  t.same(
    products.toSorted((a, b) => a.id.localeCompare(b.id)),
    [
      { id: 'priced', price: 1.5, stock: null },
      { id: 'stocked', price: null, stock: 3 },
    ],
  );
  const selected = await get('?id=gone&id=stocked&id=never');
  t.equal(
    selected.body,
    '{"products":[{"id":"stocked","price":null,"stock":3}],"missing":["gone","never"]}',
  );
});

t.test('products by id come in the order asked for, each once', async (t) => {
  const { owned, get } = setup(t);
  for (const id of ['a', 'b', 'a/b c', '😀']) owned.put(id);
  const query = ['b', '😀', 'nope', 'a', 'b', 'nope', 'a/b c', '', 'x'.repeat(65)];
  const response = await get(`?${query.map((id) => `id=${encodeURIComponent(id)}`).join('&')}`);
  const { products, missing } = response.json();
  t.same(
    products.map(({ id }: Brief) => id),
    ['b', '😀', 'a', 'a/b c'],
  );
  t.same(missing, ['nope', '', 'x'.repeat(65)]);
  t.equal(response.headers.etag, undefined);
});

t.test('a thousand of the longest ids fit, one more is refused', async (t) => {
  const { owned, app } = setup(t);
  const ids = Array.from({ length: 1000 }, (_, n) => String(n).padStart(64, 'x'));
  for (const id of ids) owned.put(id);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  const query = ids.map((id) => `id=${id}`).join('&');
  const url = `http://127.0.0.1:${port}/api/v1/products?${query}`;
  const all = await fetch(url);
  t.equal(all.status, 200);
  t.equal(((await all.json()) as Page).products.length, 1000);
  const tooMany = await fetch(`${url}&id=a`);
  t.equal(tooMany.status, 400);
  t.match(await tooMany.json(), { code: 'invalid-parameter', detail: /more than 1000/ });
});

t.test('the full view adds version and times', async (t) => {
  const { owned, get } = setup(t);
  owned.put('a', { occurredAtMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6) });
  owned.put('b', { price: undefined, occurredAtMs: 0 });
  const full = [
    '{"id":"a","price":1,"stock":2,"seq":1,"price_at":"2026-01-02T03:04:05.006Z",' +
      '"stock_at":"2026-01-02T03:04:05.006Z","updated_at":"1970-01-01T00:00:00.001Z"}',
    '{"id":"b","price":null,"stock":4,"seq":2,"price_at":null,' +
      '"stock_at":"1970-01-01T00:00:00.000Z","updated_at":"1970-01-01T00:00:00.002Z"}',
  ];
  const selected = await get('?id=a&id=b&view=full');
  t.equal(selected.body, `{"products":[${full.join()}],"missing":[]}`);
  const { products } = (await get('?view=full')).json();
  for (const text of full) t.ok(products.some((each: Brief) => JSON.stringify(each) === text));
  const lines = await get('?view=full', 'application/x-ndjson');
  t.same(lines.body.trimEnd().split('\n').toSorted(), full);
});

t.test('refuses what it does not know or can not do, by name', async (t) => {
  const { get } = setup(t);
  for (const [query, detail] of [
    ['?limits=5', /"limits" is unknown; this route knows id, limit, cursor/],
    ['?limit=0', /^limit must be an integer from 1 to 1000/],
    ['?limit=1001', /^limit must/],
    ['?limit=1e2', /^limit must/],
    ['?limit=', /^limit must/],
    ['?limit=5&limit=5', /^limit must .* given once/],
    ['?cursor=', /^cursor must be the next of a page/],
    ['?cursor=AAAA', /^cursor must/],
    [`?cursor=${'A'.repeat(38)}`, /^cursor must/],
    ['?id=a&limit=5', /give one or the other/],
    ['?id=a&cursor=x', /give one or the other/],
    ['?view=brief', /^view must be full/],
    ['?view=full&view=full', /^view must/],
    ['?min_seq=-1', /^min_seq must be an integer/],
    ['?min_seq=9007199254740992', /^min_seq must/],
    ['?min_seq=1&wait=31s', /^wait must be a duration such as 500ms, up to 30s/],
    ['?min_seq=1&wait=5', /^wait must/],
    ['?wait=5ms', /^wait goes with min_seq/],
    ['?__proto__=1', /"__proto__" is unknown/],
  ] as const) {
    const response = await get(query);
    t.equal(response.statusCode, 400, query);
    t.match(response.json(), { code: 'invalid-parameter', detail }, query);
  }
  for (const query of ['?id=a', '?limit=5', '?cursor=x']) {
    const response = await get(query, 'application/x-ndjson');
    t.match(response.json(), { code: 'invalid-parameter', detail: /don't go with/ }, query);
  }
});

t.test('a cursor of another start has expired; a changed one is invalid', async (t) => {
  const owned = new OwnedStore(4, 256 * 1024);
  for (const id of names(50)) owned.put(id);
  const before = setup(t, owned);
  const { next } = await before.page('?limit=5');
  const after = setup(t, owned);
  const response = await after.get(`?limit=5&cursor=${next}`);
  t.equal(response.statusCode, 410);
  t.equal(response.json().code, 'cursor-expired');
  t.equal((await before.get(`?cursor=${next}`)).statusCode, 200, 'the old start still takes it');
  const other = next?.startsWith('A') ? 'B' : 'A';
  for (const changed of [`${next}=`, `${next}A`, next?.slice(1), `${other}${next?.slice(1)}`]) {
    t.equal(
      (await before.get(`?cursor=${changed}`)).json().code,
      'invalid-parameter',
      `${changed}`,
    );
  }
});

t.test('a forged cursor whose seq is none is invalid', async (t) => {
  const places = '0123456789abcdef';
  const { owned, get } = setup(t, undefined, places);
  for (const id of names(50)) owned.put(id);
  const cursors = new PageCursors(places);
  const place = { shard: 0, entry: 0 };
  const ask = (seq: number) => get(`?cursor=${cursors.encode({ place, seq })}`);
  t.equal((await ask(0)).statusCode, 200, 'a true one');
  for (const seq of [Number.NaN, Infinity, -1, 1.5]) {
    const response = await ask(seq);
    t.equal(response.statusCode, 400, `${seq}`);
    t.match(response.json(), { code: 'invalid-parameter', detail: /^cursor must/ });
  }
});

t.test('a cursor of the same places on another thread or instance', async (t) => {
  const owned = new OwnedStore(4, 256 * 1024);
  for (const id of names(50)) owned.put(id);
  const places = '0123456789abcdef';
  const here = setup(t, owned, places);
  const there = setup(t, owned, places);
  here.watermark.seq = 50;
  there.watermark.seq = 49;
  const first = await here.page('?limit=30');
  const late = await there.get(`?limit=30&cursor=${first.next}&min_seq=1&wait=1ms`);
  t.equal(late.json().code, 'not-yet-applied', 'one that is behind may lack what it is to have');
  const pending = there.page(`?limit=30&cursor=${first.next}`);
  await new Promise(setImmediate);
  there.watermark.advance(50);
  const { products, next } = await pending;
  t.equal(next, null);
  t.equal(new Set([...first.products, ...products].map(({ id }) => id)).size, 50);
});

t.test('waits for busy entries on later turns, and gives up after a second', async (t) => {
  const { owned, get } = setup(t, new OwnedStore(1, 4096));
  for (const id of ['a', 'b']) owned.put(id);
  const served = async () => {
    const goOn = owned.hold(0, 1);
    const pending = [get(''), get('?id=a&id=b')];
    t.equal((await get('?id=a')).statusCode, 200, 'others are served meanwhile');
    goOn();
    return Promise.all(pending);
  };
  let answers = await served();
  // A thread that stands still for a second has no more tries.
  const isLate = () => answers.some(({ statusCode }) => statusCode === 503);
  for (let tries = 1; isLate() && tries < 10; tries++) answers = await served();
  for (const response of answers) {
    t.same(
      response.json().products.map(({ id }: Brief) => id),
      ['a', 'b'],
    );
  }
  const letGo = owned.hold(0, 1);
  for (const response of await Promise.all([get(''), get('?id=a&id=b')])) {
    t.equal(response.statusCode, 503);
    t.equal(response.json().code, 'read-contention');
    t.equal(response.headers['retry-after'], '1');
  }
  letGo();
});

t.test('HEAD answers the headers of GET', async (t) => {
  const { owned, app, get } = setup(t);
  for (const id of names(20)) owned.put(id);
  for (const query of ['', '?id=product-1', '?limit=3&view=full']) {
    const expected = await get(query);
    const head = await app.inject({ method: 'HEAD', url: `/api/v1/products${query}` });
    t.equal(head.statusCode, 200);
    t.equal(head.body, '');
    for (const name of ['content-type', 'content-length', 'vary']) {
      t.equal(head.headers[name], expected.headers[name], name);
    }
  }
});

t.test('the Accept header decides between page and stream', async (t) => {
  const { owned, get } = setup(t);
  owned.put('a');
  const page = 'application/json; charset=utf-8';
  for (const [accept, type] of [
    ['*/*', page],
    ['', page],
    ['application/*', page],
    ['APPLICATION/JSON', page],
    ['application/json;charset=utf-8', page],
    ['application/json, application/x-ndjson', page],
    ['application/x-ndjson;q=0.5, application/json', page],
    ['application/x-ndjson;q=0, */*', page],
    ['text/html, */*;q=0.1', page],
    ['application/x-ndjson', 'application/x-ndjson'],
    ['application/x-ndjson, */*', 'application/x-ndjson'],
    ['application/x-ndjson, application/json;q=0.9', 'application/x-ndjson'],
    ['application/json;q=0, application/*', 'application/x-ndjson'],
  ]) {
    const response = await get('', accept);
    t.equal(response.statusCode, 200, accept);
    t.equal(response.headers['content-type'], type, accept);
    t.equal(response.headers.vary, 'accept, accept-encoding');
  }
  for (const accept of ['text/html', 'application/json;q=0', 'application/xml, text/*', ',']) {
    const response = await get('', accept);
    t.equal(response.statusCode, 406, accept);
    t.match(response.json(), { code: 'not-acceptable', detail: /json or application\/x-ndjson/ });
    t.equal(response.headers.vary, 'accept, accept-encoding');
  }
  t.equal((await get('?id=a', 'application/json, application/x-ndjson')).statusCode, 200);
});

t.test('long pages asked for at once are read one in a turn', async (t) => {
  const { store } = new OwnedStore(4, 256 * 1024);
  let turn = 0;
  let isOver = false;
  const count = () => {
    turn++;
    if (!isOver) setImmediate(count);
  };
  const turns: number[] = [];
  /** Notes the turn in which a page is read. */
  const catalogue: ProductCatalogue = {
    walkFrom: (place) => store.walkFrom(place),
    walk: () => {
      const walk = store.walk();
      const next = walk.next.bind(walk);
      let isBegun = false;
      walk.next = () => {
        if (!isBegun) turns.push(turn);
        isBegun = true;
        return next();
      };
      return walk;
    },
  };
  const { app } = fakeApp({ products: store, catalogue });
  t.teardown(() => app.close());
  await app.ready();
  count();
  const get = (limit: number) => app.inject({ url: `/api/v1/products?limit=${limit}` });
  const asked = Array.from({ length: 20 }, () => get(1000));
  const answers = await Promise.all(asked);
  isOver = true;
  t.ok(answers.every(({ statusCode }) => statusCode === 200));
  t.equal(new Set(turns).size, 20, 'a turn each');
});
