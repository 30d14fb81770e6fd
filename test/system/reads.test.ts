/** Reads of the real service under real writes: what is promised about pages, streams and waits. */
import t, { type Test } from 'tap';
import { PageCursors } from '../../src/http/requests/page-cursor.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, codeOf, seqOf } from '../helpers/clients/api-client.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { names } from '../helpers/models/owned-store.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 60_000;

const CONNECTIONS = 8;

async function started(t: Test, env = { DATA_DIR: tempDir(t) }) {
  const { service, port, logged } = await startReadyService(t, env);
  const client = new ApiClient(port, CONNECTIONS);
  t.teardown(() => client.close());
  const post = async (id: string, price = 1) => {
    const answer = await client.post({ product_id: id, price, stock: 2 });
    if (answer.status !== 202) throw new Error(`POST ${id}: ${answer.status} ${answer.text}`);
    return seqOf(answer);
  };
  /** Writes all the time until `finish`; `acks` has all that was acknowledged by then. */
  const writing = () => {
    const acks: { readonly id: string; readonly seq: number }[] = [];
    let isOver = false;
    const worker = async (number: number) => {
      for (let n = 0; !isOver; n++) {
        const id = n % 2 === 0 ? `product-${(n * 7 + number) % 500}` : `new-${number}-${n}`;
        acks.push({ id, seq: await post(id, n) });
      }
    };
    const done = Promise.all(Array.from({ length: CONNECTIONS - 1 }, (_, i) => worker(i)));
    const finish = async () => {
      isOver = true;
      await done;
    };
    return { acks, finish };
  };
  return { env, service, client, port, logged, post, writing };
}

async function fill(post: (id: string) => Promise<number>): Promise<number> {
  const seqs = await Promise.all(names(500).map((id) => post(id)));
  return Math.max(...seqs);
}

t.test('a client reads what it wrote, on every read', async (t) => {
  const { client, post } = await started(t);
  for (let n = 1; n <= 100; n++) {
    const id = `product-${n % 10}`;
    const seq = await post(id, n);
    const minSeq = `min_seq=${seq}&wait=30s`;
    t.equal(JSON.parse((await client.get(`/api/v1/products/${id}?${minSeq}`)).text).price, n);
    const { products } = JSON.parse((await client.get(`/api/v1/products?id=${id}&${minSeq}`)).text);
    t.equal(products[0].price, n);
  }
  const beyond = await client.get('/api/v1/products/product-1?min_seq=101&wait=20ms');
  t.equal(beyond.status, 503);
  t.equal(codeOf(beyond), 'not-yet-applied');
});

t.test('forged cursors are refused, and keep nobody from an answer', async (t) => {
  const { client, post } = await started(t);
  await fill(post);
  const { next } = JSON.parse((await client.get('/api/v1/products?limit=10')).text);
  const cursors = new PageCursors(Buffer.from(next, 'base64url').toString('hex', 0, 8));
  const place = { shard: 0, entry: 0 };
  for (const seq of [Number.NaN, Infinity, -1, 1.5]) {
    const forged = cursors.encode({ place, seq });
    const answer = await client.get(
      `/api/v1/products?limit=10&cursor=${forged}&min_seq=1&wait=1ms`,
    );
    t.equal(answer.status, 400, `${seq}`);
    t.equal(codeOf(answer), 'invalid-parameter');
  }
  const seq = await post('after');
  const answer = await client.get(`/api/v1/products/after?min_seq=${seq}&wait=30s`);
  t.equal(answer.status, 200);
});

t.test('a walk through the pages under writes; a restart ends it', async (t) => {
  const { env, client, service, post, writing } = await started(t);
  const seq = await fill(post);
  const { finish } = writing();
  const ids: string[] = [];
  let query = `min_seq=${seq}&wait=30s`;
  let pages = 0;
  for (let next: string | null = ''; next !== null; pages++) {
    const { status, text } = await client.get(`/api/v1/products?limit=10&${query}`);
    t.equal(status, 200);
    const page = JSON.parse(text);
    ids.push(...page.products.map(({ id }: { id: string }) => id));
    next = page.next;
    if (next !== null) query = `cursor=${next}`;
  }
  await finish();
  t.ok(pages >= 50, `${pages} pages`);
  t.equal(new Set(ids).size, ids.length, 'nothing twice');
  t.same(ids.filter((id) => !id.startsWith('new-')).toSorted(), names(500).toSorted());

  t.equal(await service.stop(), true);
  const after = await started(t, env);
  const expired = await after.client.get(`/api/v1/products?${query}`);
  t.equal(expired.status, 410);
  t.equal(codeOf(expired), 'cursor-expired');
});

t.test('a stream under writes has all that is applied up to the seq it names', async (t) => {
  const { port, post, writing } = await started(t);
  const filled = await fill(post);
  const { acks, finish } = writing();
  const rounds = 5;
  for (let round = 0; round < rounds; round++) {
    if (round === rounds - 1) await finish();
    const last = round < rounds - 1 ? filled : Math.max(...acks.map(({ seq }) => seq));
    const query = `view=full&min_seq=${last}&wait=30s`;
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/products?${query}`, {
      headers: { accept: 'application/x-ndjson' },
    });
    const resumeSeq = Number(response.headers.get('x-resume-seq'));
    t.ok(resumeSeq >= last, `from ${resumeSeq}`);
    const shown = new Map<string, number>();
    for (const line of (await response.text()).trimEnd().split('\n')) {
      const { id, seq } = JSON.parse(line);
      if (shown.has(id)) t.fail(`${id} comes twice`);
      shown.set(id, seq);
    }
    // Who follows from resumeSeq gets the events behind it, so all others must be in here.
    const lost = acks.filter(({ id, seq }) => seq <= resumeSeq && (shown.get(id) ?? 0) < seq);
    t.same(lost, [], `${acks.length} events`);
    t.same(
      names(500).filter((id) => !shown.has(id)),
      [],
    );
  }
});

t.test('a stop answers those who wait for an event', async (t) => {
  const { service, port, logged } = await started(t);
  const waiting = await RawClient.connect(port);
  t.teardown(() => waiting.close());
  waiting.send('GET /api/v1/products/p?min_seq=999999&wait=30s HTTP/1.1\r\nhost: a\r\n\r\n');
  await polled(
    async () => {
      // Whichever thread has it, and the scrape itself.
      const requests = (await scrape(port)).value('product_service_http_requests_in_flight');
      return requests === 2 || undefined;
    },
    WAIT_MS_MAX,
    'it to wait',
  );
  const stopped = service.stop();
  t.match(await waiting.end(), /^HTTP\/1\.1 503 [\s\S]*"code":"stopping"/);
  waiting.socket.end();
  t.equal(await stopped, true);
  t.notOk(
    logged.some(({ msg }) => msg.includes('left open')),
    'nothing had to be cut off',
  );
});
