/** Batches that take long: those that keep coming are taken, those that stand still are closed. */
import { zstdCompressSync } from 'node:zlib';
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { lines, openBatch } from '../helpers/clients/batch-client.ts';
import { skippableFrame } from '../helpers/clients/frames.ts';
import { RawConnection } from '../helpers/clients/raw-connection.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

/** Longer together than REQUEST_TIMEOUT and its checks by far. */
const PIECES = 35;
const PIECE_MS = 150;
/** They wait most of the time, so all at once. */
t.jobs = 10;

/** Longer than a busy machine lets any of them stand still. */
const env = {
  HEADERS_TIMEOUT: '4s',
  REQUEST_TIMEOUT: '4s',
  KEEP_ALIVE_TIMEOUT: '10s',
  BATCH_CONCURRENCY: '10',
};
const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
const port = await service.ready();

const head = (query: string) =>
  `POST /api/v1/events/batch${query} HTTP/1.1\r\nhost: localhost\r\n` +
  'content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n';
const chunk = (text: string) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

for (const query of ['', '?on_error=continue']) {
  t.test(`a batch${query} that keeps coming may take as long as it likes`, async (t) => {
    const { call, answered } = openBatch(port, { query });
    call.flushHeaders();
    let pieces = 0;
    const sending = setInterval(() => {
      call.write(lines(100));
      if (++pieces < PIECES) return;
      clearInterval(sending);
      call.end();
    }, PIECE_MS);
    t.teardown(() => clearInterval(sending));
    const { status, body } = await answered;
    t.equal(status, 202);
    t.equal(body.accepted, 100 * PIECES);
  });

  t.test(`a batch${query} that keeps coming with metadata may, too`, async (t) => {
    const headers = { 'content-encoding': 'zstd' };
    const { call, answered } = openBatch(port, { query, headers });
    call.write(zstdCompressSync(lines(1)));
    let pieces = 0;
    const sending = setInterval(() => {
      call.write(skippableFrame(10_000));
      if (++pieces < PIECES) return;
      clearInterval(sending);
      call.end(zstdCompressSync(lines(100)));
    }, PIECE_MS);
    t.teardown(() => clearInterval(sending));
    const { status, body } = await answered;
    t.equal(status, 202);
    t.equal(body.accepted, 101);
  });

  t.test(`a batch${query} that stands still is answered, and closed`, async (t) => {
    const client = await RawConnection.open(t, port);
    client.send(head(query) + chunk(lines(10)));
    await client.received(/^HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/);
    t.match(client.text, query === '' ? /"outcome":"none"/ : /"outcome":"partial","accepted":10,/);
    await client.end();
  });

  t.test(`a batch${query} that comes a byte at a time is answered, and closed`, async (t) => {
    const client = await RawConnection.open(t, port);
    client.send(head(query));
    const dripping = setInterval(() => client.send(chunk(' ')), 20);
    t.teardown(() => clearInterval(dripping));
    await client.received(/^HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/);
    await client.end();
  });
}

t.test('what follows a long batch on its connection is timed again', async (t) => {
  const client = await RawConnection.open(t, port);
  client.send(head('?on_error=continue'));
  let pieces = 0;
  const sending = setInterval(() => {
    client.send(chunk(lines(100)));
    if (++pieces < PIECES) return;
    clearInterval(sending);
    client.send('0\r\n\r\n');
  }, PIECE_MS);
  t.teardown(() => clearInterval(sending));
  await client.received(/^HTTP\/1\.1 202 /);
  client.send(
    'POST /api/v1/events HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n' +
      'content-length: 100\r\n\r\n{',
  );
  await client.received(/HTTP\/1\.1 408 [\s\S]*"code":"request-timeout"/);
  await client.end();
});

t.test('others are served all the while', async (t) => {
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  t.equal((await client.post({ product_id: 'a', price: 1, stock: 1 })).status, 202);
});
