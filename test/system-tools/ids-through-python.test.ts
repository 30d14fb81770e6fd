/** Ids that look like something else in a URL, read back through Python's requests and httpx. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ODD_IDS } from '../helpers/models/odd-ids.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

/** Debian's own: another one in the path has not its packages. */
const PYTHON = '/usr/bin/python3';

t.test('every id that is taken can be read back', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const body = JSON.stringify(ODD_IDS.map((id) => ({ product_id: id, price: 1, stock: 1 })));
  const taken = await client.send('POST', '/api/v1/events/batch?ack=applied', body);
  t.equal(taken.status, 200);

  const python = spawn(
    PYTHON,
    [join(import.meta.dirname, 'read-back.py'), `http://127.0.0.1:${port}`],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  );
  t.teardown(() => python.kill());
  python.stdin.end(JSON.stringify(ODD_IDS));
  t.strictSame(JSON.parse(await text(python.stdout)), { requests: [], httpx: [] });
});

t.test('those that could not are refused at every door', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  for (const id of ['.', '..']) {
    const event = JSON.stringify({ product_id: id, price: 1, stock: 1 });
    const ndjson = { 'content-type': 'application/x-ndjson' };
    for (const answer of [
      await client.send('POST', '/api/v1/events', event),
      await client.send('POST', '/api/v1/events/batch', `[${event}]`),
      await client.send('POST', '/api/v1/events/batch', event, ndjson),
      await client.send('PATCH', `/api/v1/products/${id}`, '{"price":1}'),
      await client.send('DELETE', `/api/v1/products/${id}`),
    ]) {
      t.equal(answer.status, 400, id);
      t.match(answer.text, /must not be \. or \.\., which URLs can not carry/, id);
    }
  }
});
