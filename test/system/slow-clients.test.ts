/** Clients that never finish are closed after the configured time-outs; the others don't notice. */
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { eventHead, RawConnection } from '../helpers/clients/raw-connection.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const DRIP_MS = 40;
const DRIPS_MAX = 1_000;

/** They wait most of the time, so all at once. */
t.jobs = 10;

/** Longer than a busy machine lets a client's first bytes lie about. */
const env = { HEADERS_TIMEOUT: '4s', REQUEST_TIMEOUT: '4500ms', KEEP_ALIVE_TIMEOUT: '300ms' };
const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
const port = await service.ready();

t.test('nothing is ever sent', async (t) => {
  const client = await RawConnection.open(t, port);
  await client.end();
  t.match(client.text, /^(HTTP\/1\.1 408 |$)/, 'closed');
});

t.test('headers never complete', async (t) => {
  const client = await RawConnection.open(t, port);
  client.send('GET /health HTTP/1.1\r\nhost: localhost\r\nx-endless: ');
  await client.end();
  t.match(client.text, /^HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/, 'answered and closed');
});

t.test('a body never completes', async (t) => {
  const client = await RawConnection.open(t, port);
  client.send(eventHead(1000));
  await client.received(/^HTTP\/1\.1 100 Continue/);
  client.send('{"product_id":');
  await client.end();
  t.match(client.text, /HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/, 'answered and closed');
});

t.test('a body comes a byte at a time', async (t) => {
  const client = await RawConnection.open(t, port);
  client.send(eventHead(100_000, ''));
  let drips = 0;
  const dripping = setInterval(() => {
    client.send(' ');
    if (++drips === DRIPS_MAX) clearInterval(dripping);
  }, DRIP_MS);
  t.teardown(() => clearInterval(dripping));
  await client.end();
  t.ok(drips < DRIPS_MAX, 'closed while it was still coming');
});

t.test('a connection idles after its answer', async (t) => {
  const client = await RawConnection.open(t, port);
  client.send('GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await client.received(/{"status":"healthy"}$/);
  await client.end();
  t.match(client.text, /{"status":"healthy"}$/, 'closed without another word');
});

t.test('while forty of them hang about, others are served', async (t) => {
  const slow = await Promise.all(Array.from({ length: 40 }, () => RawConnection.open(t, port)));
  for (const [n, client] of slow.entries()) {
    client.send(n % 2 === 0 ? eventHead(50, '') : 'POST /api/v1/events HTTP/1.1\r\n');
  }
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const { status } = await client.post({ product_id: 'a', price: 1, stock: 1 });
  t.equal(status, 202);
  await Promise.all(slow.map((connection) => connection.end()));
  t.pass('all forty are closed');
});

t.test('a client that hangs about does not hold up the stop', { buffered: false }, async (t) => {
  const client = await RawConnection.open(t, port);
  client.send(eventHead(1000));
  await client.received(/^HTTP\/1\.1 100 Continue/);
  t.strictSame(await service.stop(), { code: 0, signal: null });
  await client.end();
});
