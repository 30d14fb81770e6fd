/** Conditional writes behind an nginx that compresses: it makes every tag weak. */
import t from 'tap';
import { startNginx } from '../helpers/clients/nginx.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

t.test('a tag that a proxy made weak is still the version', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const proxy = await startNginx(
    t,
    `gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;
     location / { proxy_pass http://127.0.0.1:${port}; proxy_http_version 1.1; }`,
  );
  const url = `http://127.0.0.1:${proxy}/api/v1/products/p`;
  const patch = (price: number, tag: string) =>
    fetch(url, {
      method: 'PATCH',
      body: JSON.stringify({ price }),
      headers: { 'content-type': 'application/json', 'if-match': tag },
    });
  const created = await fetch(url, {
    method: 'PATCH',
    body: '{"price":1,"stock":1}',
    headers: { 'content-type': 'application/json', 'if-none-match': '*' },
  });
  t.equal(created.status, 200);

  const read = await fetch(url);
  const tag = read.headers.get('etag') ?? '';
  t.equal(read.headers.get('content-encoding'), 'gzip');
  t.equal(tag, 'W/"1"', 'what nginx makes of "1"');
  t.equal((await fetch(url, { headers: { 'if-none-match': tag } })).status, 304);
  t.equal((await fetch(url, { headers: { 'if-match': tag } })).status, 200);

  for (const list of [`${tag}, "7"`, '"1","2"']) {
    const refused = await patch(9, list);
    t.equal(refused.status, 400, list);
    t.match(await refused.json(), { code: 'invalid-header', detail: /lists of tags/ });
  }
  const written = await patch(2, tag);
  t.equal(written.status, 200, 'the version that was read');
  const answer = (await written.json()) as { seq: number };
  t.equal(answer.seq, 2, 'and the refused lists cost no event');
  const late = await patch(3, tag);
  t.equal(late.status, 412, 'which it is no longer');
  t.strictSame(await (await fetch(url)).json(), { id: 'p', price: 2, stock: 1 });
});
