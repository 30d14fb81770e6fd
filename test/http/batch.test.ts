/** `POST /api/v1/events/batch` on the whole service. */
import { Buffer } from 'node:buffer';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { line, lines, openBatch, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

async function setup(t: Test, env: Readonly<Record<string, string>> = {}) {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t), ...env });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  return { service, port, client };
}

const MODES = ['', '?on_error=continue'];
const APPLIED = { query: '?ack=applied' };

t.test('takes a batch of lines and shows its events', async (t) => {
  const { port, client } = await setup(t);
  let seq = 0;
  for (const query of ['?ack=applied', '?ack=applied&on_error=continue']) {
    const { status, headers, body } = await sendBatch(port, lines(3000, seq), { query });
    t.equal(status, 200);
    t.strictSame(body, {
      status: 'applied',
      accepted: 3000,
      rejected: 0,
      duplicates: 0,
      first_seq: seq + 1,
      last_seq: seq + 3000,
      errors: [],
    });
    t.equal(headers.location, `/api/v1/events/${seq + 3000}`);
    for (const n of [0, 1, 2999]) {
      const product = { id: `p${n}`, price: seq + n, stock: 1, seq: seq + n + 1 };
      t.strictSame(await client.product(`p${n}`), product);
    }
    seq += 3000;
  }
});

t.test('takes arrays, both names of NDJSON, and every coding', async (t) => {
  const { port } = await setup(t);
  const ndjson = lines(500);
  const array = `[${ndjson.trimEnd().replaceAll('\n', ',\n')}]`;
  const forms: [string, string][] = [
    ['application/x-ndjson', ndjson],
    ['application/ndjson; charset=utf-8', ndjson],
    ['Application/JSON', array],
  ];
  const codings: [string, (body: string) => Buffer][] = [
    ['identity', Buffer.from],
    ['gzip', gzipSync],
    ['GZIP', (body) => Buffer.concat([gzipSync(body.slice(0, 100)), gzipSync(body.slice(100))])],
    ['br', brotliCompressSync],
    ['zstd', zstdCompressSync],
  ];
  for (const query of MODES) {
    for (const [type, body] of forms) {
      for (const [coding, encode] of codings) {
        const headers = { 'content-type': type, 'content-encoding': coding };
        const answer = await sendBatch(port, encode(body), { query, headers });
        t.equal(answer.status, 202, `${type} ${coding}`);
        t.equal(answer.body.accepted, 500);
      }
    }
  }
});

t.test('refuses other types, charsets and codings', async (t) => {
  const { port } = await setup(t);
  for (const headers of [
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-ndjson; charset=latin1' },
    { 'content-type': 'text/csv' },
    { 'content-encoding': 'deflate' },
    { 'content-encoding': 'gzip, br' },
  ]) {
    const { status, body } = await sendBatch(port, lines(1), { headers });
    t.equal(status, 415);
    t.equal(body.code, 'unsupported-media-type');
  }
});

t.test('takes all or nothing by default, and lists what is wrong', async (t) => {
  const { port, client } = await setup(t);
  const faulty = [line('a', 1), '{"product_id":"b","price":-1}\n', '\n', 'x\n', line('c', 1)];
  const { status, body } = await sendBatch(port, faulty.join(''));
  t.equal(status, 400);
  t.equal(body.code, 'invalid-batch');
  t.equal(body.rejected, 2);
  t.equal(body.outcome, 'none');
  t.strictSame(body.errors, [
    { line: 2, pointer: '/stock', detail: 'stock is missing.' },
    { line: 2, pointer: '/price', detail: 'price must be a finite number, 0 or more.' },
    { line: 4, pointer: '', detail: body.errors[2].detail },
  ]);
  t.match(body.errors[2].detail, /^The event is not valid JSON/);
  const after = await sendBatch(port, line('d', 1), APPLIED);
  t.equal(after.body.first_seq, 1, 'nothing was queued');
  t.equal(await client.product('a'), undefined);
});

t.test('keeps the good events with on_error=continue', async (t) => {
  const { port, client } = await setup(t);
  const body = [line('a', 1), 'x\n', line('b', 2), line('c', -3), line('d', 4)].join('');
  const query = '?on_error=continue&ack=applied';
  const answer = await sendBatch(port, body, { query });
  t.equal(answer.status, 207);
  const { accepted, rejected, duplicates, first_seq, last_seq, errors } = answer.body;
  t.strictSame([accepted, rejected, duplicates, first_seq, last_seq], [3, 2, 0, 1, 3]);
  t.strictSame(
    errors.map(({ line, pointer }) => [line, pointer]),
    [
      [2, ''],
      [4, '/price'],
    ],
  );
  t.equal((await client.product('d'))?.price, 4);
  t.equal(await client.product('c'), undefined);
});

t.test('lists a hundred faults and counts all', async (t) => {
  const { port } = await setup(t);
  for (const query of MODES) {
    const { body } = await sendBatch(port, `${'x\n'.repeat(5000)}${line('a', 1)}`, { query });
    t.equal(body.rejected, 5000);
    t.equal(body.errors.length, 100);
    t.equal(body.errors[99].line, 100);
  }
});

t.test('takes partial events and leaves the other field as it is', async (t) => {
  const { port, service } = await setup(t);
  const body = [
    '{"product_id":"a","price":1,"partial":true}',
    '{"product_id":"b","price":1,"stock":1}',
    '{"product_id":"b","stock":7,"partial":true}',
    '{"product_id":"c","stock":3,"partial":true}',
    '{"product_id":"c","price":4,"partial":true}',
  ].join('\n');
  t.equal((await sendBatch(port, body, APPLIED)).status, 200);
  const shown = (id: string) => {
    t.equal(service.path.store.read(id), 'found');
    return [service.path.store.state.price, service.path.store.state.stock];
  };
  t.strictSame(shown('a'), [1, Number.NaN]);
  t.strictSame(shown('b'), [1, 7]);
  t.strictSame(shown('c'), [4, 3]);
  const bare = await sendBatch(port, '{"product_id":"a","price":1}');
  t.strictSame(bare.body.errors, [{ line: 1, pointer: '/stock', detail: 'stock is missing.' }]);
});

t.test('refuses batches without an event', async (t) => {
  const { port } = await setup(t);
  for (const query of MODES) {
    for (const body of ['', '\n \n']) {
      t.equal((await sendBatch(port, body, { query })).body.code, 'empty-body');
    }
    const headers = { 'content-type': 'application/json' };
    t.equal((await sendBatch(port, '[]', { query, headers })).body.code, 'empty-body');
  }
});

t.test('says what is no batch, and how far it came', async (t) => {
  const { port } = await setup(t);
  const headers = { 'content-type': 'application/json' };
  const event = line('a', 1).trim();
  const whole = await sendBatch(port, `[${event},`, { headers });
  t.match([whole.status, whole.body], [400, { code: 'invalid-json', outcome: 'none' }]);
  const query = '?on_error=continue';
  const streamed = await sendBatch(port, `[${event},${event} 7]`, { headers, query });
  t.equal(streamed.status, 400);
  t.match(streamed.body, {
    code: 'invalid-json',
    outcome: 'partial',
    accepted: 2,
    first_seq: 1,
    last_seq: 2,
  });
  const single = await sendBatch(port, event, { headers });
  t.match(single.body, { code: 'invalid-batch', detail: 'The body must be a JSON array.' });
});

t.test('refuses unknown parameters and values', async (t) => {
  const { port } = await setup(t);
  for (const query of [
    '?on_error=stop',
    '?ack=never',
    '?onerror=continue',
    '?ack=durable&ack=applied',
  ]) {
    const { status, body } = await sendBatch(port, line('a', 1), { query });
    t.equal(status, 400, query);
    t.equal(body.code, 'invalid-parameter');
  }
});

t.test('answers ack=accepted without seqs', async (t) => {
  const { port, client } = await setup(t);
  for (const mode of ['reject', 'continue']) {
    const query = `?ack=accepted&on_error=${mode}`;
    const { status, body } = await sendBatch(port, line(mode, 5), { query });
    t.equal(status, 202);
    t.match(body, { status: 'accepted', accepted: 1, first_seq: null, last_seq: null });
    await client.visible(mode, 5);
  }
});

t.test('limits what is taken whole, and stops bombs', async (t) => {
  const { port } = await setup(t, { BATCH_LIMIT: '100KB' });
  const limit = 100 * 1024;
  const fits = line('a', 1).padStart(limit, '\n');
  t.equal((await sendBatch(port, fits)).status, 202);
  const headers = { 'content-encoding': 'gzip' };
  t.equal((await sendBatch(port, gzipSync(fits), { headers })).status, 202);
  for (const [body, options] of [
    [`\n${fits}`, {}],
    [gzipSync(`\n${fits}`), { headers }],
    [gzipSync('\n'.repeat(20_000_000)), { headers }],
    [zstdCompressSync('\n'.repeat(20_000_000)), { headers: { 'content-encoding': 'zstd' } }],
  ] as [string | Buffer, object][]) {
    const { status, body: problem } = await sendBatch(port, body, options);
    t.equal(status, 413);
    t.match(problem, { code: 'body-too-large', outcome: 'none' });
  }
  const chunked = openBatch(port);
  chunked.call.write(fits);
  chunked.call.end('\n');
  t.equal((await chunked.answered).status, 413);

  const query = '?on_error=continue';
  t.equal((await sendBatch(port, lines(20_000), { query })).status, 202);
  for (const [coding, body] of [
    ['gzip', gzipSync('\n'.repeat(20_000_000))],
    ['br', brotliCompressSync('\n'.repeat(20_000_000))],
    ['zstd', zstdCompressSync(line('a', 1) + '\n'.repeat(20_000_000))],
  ] as const) {
    const bomb = await sendBatch(port, body, { query, headers: { 'content-encoding': coding } });
    t.equal(bomb.status, 413, coding);
    t.match(bomb.body, { code: 'body-too-large', detail: /expands/ });
    t.equal(bomb.body.outcome, coding === 'zstd' ? 'partial' : 'none');
  }
});

t.test('refuses a body that is not in the coding it names', async (t) => {
  const { port } = await setup(t);
  const headers = { 'content-encoding': 'gzip' };
  const cut = gzipSync(lines(1000)).subarray(0, -20);
  for (const query of MODES) {
    for (const body of [lines(1), cut]) {
      const { status, body: problem } = await sendBatch(port, body, { headers, query });
      t.equal(status, 400);
      t.equal(problem.code, 'invalid-encoding');
    }
  }
});

t.test('the connection stays usable after a refusal in the middle of a body', async (t) => {
  const { client } = await setup(t, { BATCH_LIMIT: '1KB' });
  const body = `${'x\n'.repeat(100)}${' '.repeat(5_000_000)}`;
  const answer = await client.send('POST', '/api/v1/events/batch', `[${body}`);
  t.equal(answer.status, 413);
  t.equal((await client.get('/health')).status, 200);
});
