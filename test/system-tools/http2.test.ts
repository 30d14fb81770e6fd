/**
 * HTTP/2 as clients have it: Debian's curl and h2load, and Node's own client, against the real process.
 *
 * A stop under load, in what may be seen of a request: an answer; a stream or a connection that says that it was
 * not looked at (REFUSED_STREAM, GOAWAY), which a library repeats elsewhere; no connection at all. Never: an answer
 * that is cut off, or an acknowledgement that a restart does not know.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type ClientHttp2Stream, constants } from 'node:http2';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { bounded } from '../helpers/bounded.ts';
import { Certificates } from '../helpers/certificates.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { line, lines } from '../helpers/clients/batch-client.ts';
import { type ReadStream, readEventStream } from '../helpers/clients/event-stream.ts';
import { Http2Client, StreamReset } from '../helpers/clients/http2-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';

const WAIT_MS_MAX = 60_000;
const PRODUCTS = 50_000;
const run = promisify(execFile);

const certificates = new Certificates(tempDir(t));
certificates.make('first');
certificates.make('second');

async function started(t: Test, env: Readonly<Record<string, string>> = {}, cwd = tempDir(t)) {
  certificates.install('first');
  const service = await ServiceProcess.start(t, { cwd, env: { ...certificates.env, ...env } });
  return { service, port: await service.ready(), cwd };
}

/** Runs curl over HTTP/2; what it prints is what `--write-out` says, and the body before that. */
async function curl(port: number, path: string, ...args: readonly string[]): Promise<string> {
  const always = [
    '--silent',
    '--show-error',
    '--http2',
    '--cacert',
    certificates.pathOf('first.crt'),
  ];
  always.push('--write-out', ' %{http_version} %{http_code}', `https://localhost:${port}${path}`);
  const { stdout } = await run('curl', [...always, ...args], { maxBuffer: 64 << 20 });
  return stdout;
}

/** Reads a stream of changes until it has brought `count`. */
async function changes(stream: ClientHttp2Stream, count: number): Promise<ReadStream> {
  let text = '';
  let found = 0;
  let line = '';
  const all = new Promise<void>((resolve) => {
    stream.on('data', (chunk: Buffer) => {
      const piece = chunk.toString(); // ids of plain letters
      text += piece;
      const ended = (line + piece).split('\n');
      line = ended.pop() ?? '';
      found += ended.filter((each) => /^data: .*"product_id"/.test(each)).length;
      if (found >= count) resolve();
    });
  });
  await bounded(all, WAIT_MS_MAX, `${count} changes`);
  // What a client keeps is what it has read to the end.
  return readEventStream(text);
}

/** A product's price as it is read over `client`. */
async function priceOf(client: Http2Client, id: string): Promise<number | undefined> {
  const { status, text } = await client.ask(`/api/v1/products/${id}`);
  return status === 200 ? JSON.parse(text).price : undefined;
}

t.test(
  'curl: writes, a batch, conditions, pages, an export, a stream and its resumption',
  async (t) => {
    const { port, cwd } = await started(t);
    const json = ['--header', 'content-type: application/json'];
    const event = '{"product_id":"a","price":1.5,"stock":2}';
    const posted = await curl(port, '/api/v1/events?ack=applied', ...json, '--data', event);
    t.match(posted, /"seq":1\} 2 200$/);
    const patch = [
      '--request',
      'PATCH',
      ...json,
      '--data',
      '{"price":2}',
      '--header',
      'if-match: "9"',
    ];
    t.match(await curl(port, '/api/v1/products/a', ...patch), /"precondition-failed".* 2 412$/);
    t.match(await curl(port, '/api/v1/products/a'), /"price":1\.5.* 2 200$/);
    t.match(await curl(port, '/api/v1/products/a', '--head'), / 2 200$/);

    const file = join(cwd, 'batch.ndjson');
    writeFileSync(file, lines(PRODUCTS));
    const ndjson = ['--header', 'content-type: application/x-ndjson', '--data-binary', `@${file}`];
    const batch = await curl(port, '/api/v1/events/batch?ack=applied', ...ndjson);
    t.match(batch, new RegExp(`"accepted":${PRODUCTS},.* 2 200$`));
    const expecting = [...ndjson, '--header', 'expect: 100-continue'];
    const again = await curl(port, '/api/v1/events/batch?ack=applied', ...expecting);
    t.match(again, new RegExp(`"accepted":${PRODUCTS},.* 2 200$`));
    writeFileSync(file, `${lines(10)}nothing\n`);
    t.match(await curl(port, '/api/v1/events/batch', ...ndjson), /"invalid-.* 2 400$/);

    const page = await curl(port, '/api/v1/products?limit=1000');
    t.equal(JSON.parse(page.slice(0, page.lastIndexOf('}') + 1)).products.length, 1000);
    for (const coding of [[], ['--compressed']]) {
      const accept = ['--header', 'accept: application/x-ndjson', ...coding];
      const exported = await curl(port, '/api/v1/products', ...accept);
      t.match(exported.slice(-6), / 2 200$/);
      t.equal(exported.split('\n').length - 1, PRODUCTS + 1);
    }

    const client = await Http2Client.open(t, port);
    const stream = { accept: 'text/event-stream' };
    const following = client.begin('/api/v1/changes?since=1', stream).stream;
    following.end();
    const { lastEventId } = await changes(following, 2 * PRODUCTS);
    following.close(constants.NGHTTP2_CANCEL);
    const resuming = { ...stream, 'last-event-id': lastEventId };
    const resumed = client.begin('/api/v1/changes?since=1', resuming).stream;
    resumed.end();
    await client.post({ product_id: 'b', price: 3, stock: 4 });
    const behind = await changes(resumed, 1);
    t.match(behind.events.find(({ name }) => name === 'message')?.data, /"product_id":"b"/);
  },
);

t.test('tokens and rates are asked for as over HTTP/1.1', async (t) => {
  const env = { JWT_SECRET: SECRET, RATE_LIMIT_READ: '5/1h' };
  const { port } = await started(t, env);
  const client = await Http2Client.open(t, port);
  const path = '/api/v1/products/a';
  const anonymous = await client.ask(path);
  t.match(anonymous, { status: 401, headers: { 'www-authenticate': /^Bearer/ } });
  const token = await secretToken(claims({ roles: ['reader'] }));
  const authorization = `Bearer ${token}`;
  const event = { product_id: 'a', price: 1, stock: 1 };
  t.equal((await client.post(event, '', { authorization })).status, 403);
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push(client.ask(path, { authorization }));
  const answers = await Promise.all(statuses);
  // Whose token is verified first is nobody's to say.
  answers.sort((a, b) => a.status - b.status);
  t.strictSame(
    answers.map(({ status }) => status),
    [404, 404, 404, 404, 404, 429],
  );
  t.match(answers[5].headers, { 'retry-after': /^\d+$/, ratelimit: /r=0/ });
});

t.test('h2load: every one of 20,000 requests on 400 streams is answered', async (t) => {
  const { port, cwd } = await started(t);
  const file = join(cwd, 'event.json');
  writeFileSync(file, '{"product_id":"p","price":1.5,"stock":2}');
  const load = ['-n', '20000', '-c', '8', '-m', '50'];
  const url = `https://localhost:${port}`;
  const post = ['-d', file, '-H', 'content-type: application/json', `${url}/api/v1/events`];
  const { stdout: writes } = await run('h2load', [...load, ...post]);
  t.match(writes, /20000 succeeded, 0 failed, 0 errored, 0 timeout/);
  t.match(writes, /status codes: 20000 2xx/);
  const { stdout: reads } = await run('h2load', [...load, `${url}/api/v1/products/p`]);
  t.match(reads, /status codes: 20000 2xx/);
  t.match(reads, /Application protocol: h2/);
  for (const text of [writes, reads]) t.comment(/^finished.*$/m.exec(text)?.[0]);
});

t.test('SIGHUP: the connection goes on, and a new one is shown the new certificate', async (t) => {
  const { service, port } = await started(t);
  const strict = { rejectUnauthorized: true, ca: certificates.pemOf('first') };
  const before = await Http2Client.open(t, port, strict);
  const following = before.begin('/api/v1/changes', { accept: 'text/event-stream' });
  following.stream.end();
  await bounded(once(following.stream, 'data'), WAIT_MS_MAX, 'the stream');
  const batch = { ':method': 'POST', 'content-type': 'application/x-ndjson' };
  const upload = before.begin('/api/v1/events/batch?ack=applied', batch);
  upload.stream.write(line('a', 1));

  certificates.install('second');
  service.kill('SIGHUP');
  await service.logged('TLS: certificate read anew');
  await t.rejects(Http2Client.open(t, port, strict), 'the one before is not shown any more');
  const after = await Http2Client.open(t, port, { ...strict, ca: certificates.pemOf('second') });
  upload.stream.end(line('a', 2));
  t.equal((await upload.answered).status, 200);
  t.equal(await priceOf(before, 'a'), 2);
  t.equal(await priceOf(after, 'a'), 2);
  t.notOk(following.stream.closed);
  t.equal(before.lastServed, undefined);

  const half = before.begin('/api/v1/events/batch?on_error=continue', batch);
  half.stream.write(line('b', 1));
  // On the same connection: the batch came before it.
  t.equal(await priceOf(before, 'a'), 2);
  t.strictSame(await service.stop(), { code: 0, signal: null });
  t.match(await half.answered, { status: 503, text: /"code":"stopping"/ });
  t.match((await following.answered).text, /event: stopping\n/, 'the stream ends in order');
});

t.test('a stop under load loses nothing that was acknowledged', async (t) => {
  const cwd = tempDir(t);
  const { service, port } = await started(t, {}, cwd);
  const ledger = new AckLedger();
  const outcomes: Record<string, number> = {};
  const clients: (Http2Client | undefined)[] = [];
  for (let i = 0; i < 4; i++) clients.push(await Http2Client.open(t, port));

  /** Writes one product after the other, on a new connection when the one before was ended. */
  const writeLane = async (lane: number): Promise<void> => {
    let client = clients[lane % clients.length];
    for (let sent = 0; sent < 20_000; sent++) {
      const event = ledger.attempt(`lane ${lane}`);
      const outcome = await (client?.post(event) ?? Promise.reject(new Error('no client'))).then(
        ({ status, text }) => {
          if (status !== 202) {
            ledger.refused(event);
            return `${status} ${JSON.parse(text).code}`;
          }
          ledger.acknowledged(event, JSON.parse(text).seq);
          if (ledger.acknowledgements === 2000) service.kill('SIGTERM');
          return '202';
        },
        (error: unknown) => {
          // Said by the service or, of a stream it never began, by the library.
          const cause = error instanceof StreamReset ? error.cause : error;
          const isRefused =
            /GOAWAY|INVALID_SESSION/.test(String((cause as NodeJS.ErrnoException)?.code)) ||
            (error instanceof StreamReset && error.code === constants.NGHTTP2_REFUSED_STREAM);
          if (!isRefused || (error instanceof StreamReset && error.status !== undefined)) {
            return `lost: ${error} (${(error as Error).cause})`;
          }
          ledger.refused(event);
          return 'not looked at';
        },
      );
      outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      if (outcome.startsWith('not')) {
        client = await Http2Client.open(t, port).catch(() => undefined);
        if (client === undefined) return;
      } else if (outcome !== '202' && !outcome.startsWith('503')) return;
    }
  };
  await Promise.all(Array.from({ length: 64 }, (_, lane) => writeLane(lane)));
  t.strictSame(await service.exit(), { code: 0, signal: null });
  t.equal(service.stderr, '');
  t.comment(outcomes);
  t.ok(ledger.acknowledgements >= 2000);
  const allowed = ['202', '503 stopping', 'not looked at'];
  t.strictSame(
    Object.keys(outcomes).filter((outcome) => !allowed.includes(outcome)),
    [],
  );

  const { port: restarted } = await started(t, {}, cwd);
  const reader = await Http2Client.open(t, restarted);
  const faults = await Promise.all(
    ledger.ids.map(async (id) => {
      const path = `/api/v1/products/${encodeURIComponent(id)}`;
      const { status, text, headers } = await reader.ask(path);
      const seq = Number(headers.etag?.slice(1, -1));
      return ledger.fault(id, status === 200 ? { ...JSON.parse(text), seq } : undefined);
    }),
  );
  t.strictSame(
    faults.filter((fault) => fault !== undefined),
    [],
  );
});
