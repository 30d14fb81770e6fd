/**
 * Long answers in the coding that the client takes, over real sockets: the same content, bounded memory
 * and compressors that end with their clients. (Over 300 lines: a third of it is the server and the reader of
 * chunked bodies that all tests share.)
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  get,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http';
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { COMPRESSORS_MAX, compressors } from '../../src/http/answers/compressors.ts';
import { ConnectionDrain } from '../../src/http/connection/drain.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { names, OwnedStore } from '../helpers/models/owned-store.ts';

const WAIT_MS_MAX = 100_000;
const STUCK_TURNS = 200;
/** With ids that don't compress: 6 MB compressed, more than the kernel holds for one socket. */
const BIG = 120_000;
const CODINGS = ['zstd', 'br', 'gzip'] as const;
const LINES = 'application/x-ndjson';

t.setTimeout(300_000);

const DECODERS: Readonly<Record<string, (bytes: Buffer) => Buffer>> = {
  zstd: zstdDecompressSync,
  br: brotliDecompressSync,
  gzip: gunzipSync,
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  /** The body, decoded. */
  readonly text: string;
}

let big: OwnedStore | undefined;

function bigStore(): OwnedStore {
  if (big === undefined) {
    big = new OwnedStore(4, BIG * 200);
    for (let n = 0; n < BIG; n++) big.put(randomBytes(48).toString('base64url'));
  }
  return big;
}

function storeOf(products: number): OwnedStore {
  const owned = new OwnedStore(4, products * 200 + 64 * 1024);
  for (const id of names(products)) owned.put(id);
  return owned;
}

async function listening(t: Test, owned: OwnedStore) {
  const { store } = owned;
  const fakes = fakeApp({ products: store, catalogue: store });
  const { app } = fakes;
  app.server.setMaxListeners(64);
  const drain = new ConnectionDrain(app.server);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = app.server.address() as { port: number };
  t.teardown(() => {
    app.server.closeAllConnections();
    return app.close();
  });
  const ask = async (
    path: string,
    headers: Record<string, string> = {},
    method = 'GET',
  ): Promise<Answer> => {
    const request = get({ port, host: '127.0.0.1', path, headers, method, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const bytes = Buffer.concat(chunks);
    const decode = DECODERS[response.headers['content-encoding'] ?? ''];
    const text = (decode === undefined || method === 'HEAD' ? bytes : decode(bytes)).toString();
    return { status: response.statusCode ?? 0, headers: response.headers, bytes, text };
  };
  const connect = async (send: string) => {
    const client = await RawClient.connect(port);
    t.teardown(() => client.close());
    client.socket.setEncoding('latin1');
    // Several at a time: each waits for its own.
    const request = new Promise<ServerResponse>((resolve) => {
      const { localPort } = client.socket;
      const look = ({ socket }: IncomingMessage, response: ServerResponse) => {
        if (socket.remotePort !== localPort) return;
        app.server.off('request', look);
        resolve(response);
      };
      app.server.on('request', look);
    });
    client.send(send);
    return { client, response: await request };
  };
  /** An export whose client doesn't read; resolves once it waits for that. */
  const stalled = async (coding: string) => {
    const connected = connect(
      `GET /api/v1/products HTTP/1.1\r\nhost: a\r\naccept: ${LINES}\r\n` +
        `accept-encoding: ${coding}\r\nconnection: close\r\n\r\n`,
    );
    const { client, response } = await connected;
    client.socket.pause();
    for (let stuck = 0; stuck < STUCK_TURNS; await new Promise(setImmediate)) {
      stuck = response.writableNeedDrain ? stuck + 1 : 0;
    }
    return { client, response };
  };
  const unused = () =>
    polled(() => compressors.open === 0 || undefined, WAIT_MS_MAX, 'compressors to be closed');
  return { ...fakes, owned, port, drain, ask, connect, stalled, unused };
}

/** The body of a raw answer, its chunks put together; `isWhole` if the last one is there. */
function chunked(received: string): { readonly body: Buffer; readonly isWhole: boolean } {
  let rest = received.slice(received.indexOf('\r\n\r\n') + 4);
  let body = '';
  for (;;) {
    const end = rest.indexOf('\r\n');
    const length = Number.parseInt(rest.slice(0, end), 16);
    if (end === -1 || length === 0) {
      return { body: Buffer.from(body, 'latin1'), isWhole: length === 0 };
    }
    body += rest.slice(end + 2, end + 2 + length);
    rest = rest.slice(end + 4 + length);
  }
}

t.test('an export in each coding is what it is plain', async (t) => {
  const { ask, unused } = await listening(t, storeOf(2000));
  const plain = await ask('/api/v1/products', { accept: LINES });
  t.equal(plain.headers['content-encoding'], undefined);
  t.equal(plain.headers.vary, 'accept, accept-encoding');
  t.equal(plain.text.split('\n').length, 2001);
  for (const coding of CODINGS) {
    const headers = { accept: LINES, 'accept-encoding': coding };
    const answer = await ask('/api/v1/products', headers);
    t.equal(answer.headers['content-encoding'], coding);
    t.equal(answer.headers.vary, 'accept, accept-encoding');
    t.equal(answer.headers['content-type'], LINES);
    t.equal(answer.headers['x-resume-seq'], '0');
    t.equal(answer.text, plain.text, coding);
    t.ok(answer.bytes.length < plain.bytes.length / 3, `${coding}: ${answer.bytes.length} bytes`);
    const head = await ask('/api/v1/products', headers, 'HEAD');
    t.equal(head.headers['content-encoding'], coding, 'HEAD says the same');
    t.equal(head.bytes.length, 0);
  }
  await unused();
});

t.test('an empty export is an empty one in each coding', async (t) => {
  const { ask } = await listening(t, storeOf(0));
  for (const coding of CODINGS) {
    const answer = await ask('/api/v1/products', { accept: LINES, 'accept-encoding': coding });
    t.equal(answer.status, 200);
    t.equal(answer.text, '');
  }
});

t.test('application/ndjson is the same, and is called so', async (t) => {
  const { ask } = await listening(t, storeOf(10));
  const known = await ask('/api/v1/products', { accept: LINES });
  for (const accept of ['application/ndjson', 'application/json;q=0.1, application/ndjson']) {
    const answer = await ask('/api/v1/products', { accept });
    t.equal(answer.headers['content-type'], 'application/ndjson');
    t.equal(answer.text, known.text);
  }
  const both = await ask('/api/v1/products', { accept: `application/ndjson, ${LINES}` });
  t.equal(both.headers['content-type'], LINES);
  t.match(JSON.parse((await ask('/api/v1/products?limit=3', { accept: '*/*' })).text), {
    products: { length: 3 },
  });
  const wrong = await ask('/api/v1/products?limit=3', { accept: 'application/ndjson' });
  t.match(JSON.parse(wrong.text).detail, /don't go with application\/ndjson/);
  const none = await ask('/api/v1/products', { accept: 'text/csv' });
  t.equal(none.status, 406);
  t.match(JSON.parse(none.text).detail, /application\/ndjson/);
});

t.test('long pages and selections; short ones and single products are plain', async (t) => {
  const { ask, unused } = await listening(t, storeOf(500));
  const ids = names(200)
    .map((id) => `id=${id}`)
    .join('&');
  for (const path of ['/api/v1/products?limit=400', `/api/v1/products?${ids}`]) {
    const plain = await ask(path);
    for (const coding of CODINGS) {
      const answer = await ask(path, { 'accept-encoding': coding });
      t.equal(answer.headers['content-encoding'], coding);
      t.equal(answer.headers['content-length'], String(answer.bytes.length));
      t.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
      // Cursors are sealed anew for each page.
      t.strictSame(JSON.parse(answer.text).products, JSON.parse(plain.text).products);
      const head = await ask(path, { 'accept-encoding': coding }, 'HEAD');
      t.equal(head.headers['content-encoding'], coding);
      t.equal(head.bytes.length, 0);
    }
  }
  const short = await ask('/api/v1/products?limit=3', { 'accept-encoding': 'gzip' });
  t.equal(short.headers['content-encoding'], undefined);
  t.equal(short.headers.vary, 'accept, accept-encoding', 'a cache must know all the same');
  const single = await ask('/api/v1/products/product-1', { 'accept-encoding': 'gzip' });
  t.equal(single.headers['content-encoding'], undefined);
  t.equal(single.headers.vary, undefined);
  t.equal(single.headers.etag, '"2"');
  await unused();
});

t.test('the document and its page; validators and parts', async (t) => {
  const { ask, unused } = await listening(t, storeOf(0));
  for (const path of ['/openapi.json', '/docs/static/swagger-ui.css', '/docs/json']) {
    const plain = await ask(path);
    t.equal(plain.headers.vary, 'accept-encoding', path);
    for (const coding of CODINGS) {
      const answer = await ask(path, { 'accept-encoding': coding });
      t.equal(answer.headers['content-encoding'], coding, path);
      t.equal(answer.headers.vary, 'accept-encoding');
      t.equal(answer.text, plain.text);
    }
  }
  const path = '/docs/static/swagger-ui.css';
  const { headers } = await ask(path, { 'accept-encoding': 'gzip' });
  const etag = headers.etag ?? '';
  t.match(etag, /^W\//, 'not of these bytes');
  t.equal(headers['accept-ranges'], undefined);
  const cached = { 'accept-encoding': 'gzip', 'if-none-match': etag };
  t.equal((await ask(path, cached)).status, 304);
  const part = await ask(path, { 'accept-encoding': 'gzip', range: 'bytes=0-9' });
  t.equal(part.status, 206);
  t.equal(part.headers['content-encoding'], undefined);
  t.equal(part.bytes.length, 10);
  const image = await ask('/docs/static/favicon-32x32.png', { 'accept-encoding': 'gzip' });
  t.equal(image.headers['content-encoding'], undefined);
  const none = await ask('/docs/static/none.js', { 'accept-encoding': 'gzip' });
  t.equal(none.status, 404);
  t.equal(none.headers['content-encoding'], undefined);
  await unused();
});

t.test('an HTTP/1.0 client gets it up to the end of the connection', async (t) => {
  const { connect } = await listening(t, storeOf(3000));
  const { client } = await connect(
    `GET /api/v1/products HTTP/1.0\r\naccept: ${LINES}\r\naccept-encoding: gzip\r\n\r\n`,
  );
  const received = await client.end();
  const [head = ''] = received.split('\r\n\r\n');
  t.notMatch(head, /transfer-encoding/i);
  t.match(head, /content-encoding: gzip/i);
  const body = Buffer.from(received.slice(head.length + 4), 'latin1');
  t.equal(gunzipSync(body).toString().split('\n').length, 3001);
});

t.test('a slow reader holds little and gets all of it; others are served', async (t) => {
  const { stalled, ask, unused } = await listening(t, bigStore());
  for (const coding of CODINGS) {
    const { client, response } = await stalled(coding);
    t.equal(compressors.open, 1);
    t.ok(response.writableLength < 256 * 1024, `${response.writableLength} bytes are held`);
    t.equal((await ask('/health')).status, 200);
    client.socket.resume();
    const { body, isWhole } = chunked(await client.end());
    t.ok(isWhole);
    const lines = DECODERS[coding]?.(body).toString().trimEnd().split('\n') ?? [];
    t.equal(new Set(lines).size, BIG, coding);
    await unused();
  }
});

t.test('a reader that goes frees its compressor; beyond the bound answers are plain', async (t) => {
  const { stalled, ask, unused } = await listening(t, bigStore());
  const each = (_: unknown, n: number) => stalled(CODINGS[n % CODINGS.length] as string);
  const all = await Promise.all(Array.from({ length: COMPRESSORS_MAX }, each));
  t.equal(compressors.open, COMPRESSORS_MAX);
  const path = '/api/v1/products?limit=500';
  const plain = await ask(path, { 'accept-encoding': 'gzip' });
  t.equal(plain.headers['content-encoding'], undefined);
  t.equal(JSON.parse(plain.text).products.length, 500);
  const { client, response } = await stalled('gzip');
  t.equal(response.getHeader('content-encoding'), undefined, 'an export, too');
  client.close();
  for (const { client: each } of all) each.close();
  await unused();
  t.equal((await ask(path, { 'accept-encoding': 'gzip' })).headers['content-encoding'], 'gzip');
});

t.test('a stop cuts a stuck one off after a second, and lets a running one end', async (t) => {
  const { stalled, drain, lifecycle, unused } = await listening(t, bigStore());
  const { client } = await stalled('zstd');
  lifecycle.phase = 'stopping';
  await drain.beginDrain();
  t.equal(await drain.drained({ idleMs: 20, timeoutMs: WAIT_MS_MAX }), 'closed');
  await unused();
  client.socket.resume();
  const { body, isWhole } = chunked(await client.end());
  t.notOk(isWhole, 'its end says that it is not whole');
  t.throws(() => zstdDecompressSync(body), 'so does that of its coding');

  const running = await listening(t, storeOf(5000));
  const { client: other } = await running.connect(
    `GET /api/v1/products HTTP/1.1\r\nhost: a\r\naccept: ${LINES}\r\naccept-encoding: br\r\n\r\n`,
  );
  running.lifecycle.phase = 'stopping';
  await running.drain.beginDrain();
  const drained = running.drain.drained({ idleMs: 20, timeoutMs: WAIT_MS_MAX });
  const whole = chunked(await other.end());
  other.socket.end();
  t.equal(await drained, 'closed');
  t.ok(whole.isWhole);
  t.equal(brotliDecompressSync(whole.body).toString().split('\n').length, 5001);
});

t.test('an error in the middle breaks the body off', async (t) => {
  const { owned, connect, unused } = await listening(t, storeOf(3000));
  // The last entry of the last shard, so that something is sent before.
  const letGo = owned.hold(3, 700);
  const { client } = await connect(
    `GET /api/v1/products HTTP/1.1\r\nhost: a\r\naccept: ${LINES}\r\naccept-encoding: gzip\r\n\r\n`,
  );
  const received = await bounded(client.end(), WAIT_MS_MAX, 'the end');
  t.match(received, /^HTTP\/1.1 200 OK/);
  const { body, isWhole } = chunked(received);
  t.notOk(isWhole);
  t.throws(() => gunzipSync(body));
  await unused();
  letGo();
});
