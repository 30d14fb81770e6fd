/**
 * `GET /api/v1/products` as application/x-ndjson: the whole catalogue over real sockets, with fast
 * and slow readers, readers that go, and a service that stops.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import t, { type Test } from 'tap';
import { ConnectionDrain } from '../../src/http/connection/drain.ts';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';
import { names, OwnedStore } from '../helpers/models/owned-store.ts';

const PATIENT_MS = 60_000;
const HEADERS = 'HTTP/1.1\r\nhost: a\r\naccept: application/x-ndjson\r\n';
const EXPORT = `GET /api/v1/products ${HEADERS}\r\n`;
/** Ends its connection, and is 11 MB of full lines: more than the kernel's buffers of one socket. */
const BIG_EXPORT = `GET /api/v1/products?view=full ${HEADERS}connection: close\r\n\r\n`;
const BIG = 64_000;
const STUCK_TURNS = 200;
const TRIES = 20;

async function listening(t: Test, products: number) {
  const owned = new OwnedStore(4, products * 100 + 64 * 1024);
  for (const id of names(products)) owned.put(id);
  const { store } = owned;
  const fakes = fakeApp({ products: store, catalogue: store });
  const drain = new ConnectionDrain(fakes.app.server);
  await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = fakes.app.server.address() as { port: number };
  const clients: RawClient[] = [];
  t.teardown(async () => {
    for (const client of clients) client.close();
    await fakes.app.close();
  });
  const connect = async () => {
    const client = await RawClient.connect(port);
    clients.push(client);
    return client;
  };
  /** Starts an export that its reader does not read; resolves once it waits for the reader. */
  const stalled = async () => {
    const client = await connect();
    client.socket.pause();
    const request = once(fakes.app.server, 'request');
    client.send(BIG_EXPORT);
    const [, response] = (await request) as [unknown, ServerResponse];
    for (let stuck = 0; stuck < STUCK_TURNS; await new Promise(setImmediate)) {
      stuck = response.writableNeedDrain ? stuck + 1 : 0;
    }
    return { client, response };
  };
  return { ...fakes, owned, drain, connect, stalled, url: `http://127.0.0.1:${port}` };
}

const LINES = { headers: { accept: 'application/x-ndjson' } };

function linesOf(text: string): { id: string; price: number }[] {
  if (!text.endsWith('\n')) throw new Error('the last line is not ended');
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

t.test('has every product once, and says from where to follow', async (t) => {
  const { url, watermark } = await listening(t, 1000);
  watermark.seq = 41;
  const response = await fetch(`${url}/api/v1/products`, LINES);
  t.equal(response.status, 200);
  t.equal(response.headers.get('content-type'), 'application/x-ndjson');
  t.equal(response.headers.get('vary'), 'accept, accept-encoding');
  t.equal(response.headers.get('x-resume-seq'), '41');
  const ids = linesOf(await response.text()).map(({ id }) => id);
  t.same(ids.toSorted(), names(1000).toSorted());
});

t.test('of an empty catalogue it is empty; HEAD has its headers only', async (t) => {
  const { url, watermark } = await listening(t, 0);
  watermark.seq = 7;
  for (const method of ['GET', 'HEAD']) {
    const response = await fetch(`${url}/api/v1/products`, { ...LINES, method });
    t.equal(response.status, 200);
    t.equal(response.headers.get('x-resume-seq'), '7');
    t.equal(await response.text(), '');
  }
});

t.test('a slow reader holds one slice, and gets all of it while others write', async (t) => {
  const { owned, stalled, url } = await listening(t, BIG);
  const { client, response } = await stalled();
  let hasGoneOn = true;
  // The kernel may be late to take what it has room for, a few times.
  for (let tries = 0; hasGoneOn && tries < TRIES; tries++) {
    const heldBytes = response.writableLength + client.socket.bytesRead;
    for (let n = 0; n < 100; n++) {
      owned.put(`product-${n * 7}`);
      owned.put(`new-${n}`);
      await new Promise(setImmediate);
    }
    hasGoneOn = response.writableLength + client.socket.bytesRead !== heldBytes;
  }
  t.notOk(hasGoneOn, 'nothing more was made');
  t.ok(response.writableLength < 256 * 1024, `${response.writableLength} bytes are held`);
  t.equal((await fetch(`${url}/health`)).status, 200, 'others are served');
  client.socket.resume();
  const text = await client.end();
  t.ok(text.endsWith('\r\n0\r\n\r\n'));
  const ids = [...text.matchAll(/^\{"id":"([^"]+)"/gm)].map(([, id]) => id);
  t.equal(new Set(ids).size, ids.length, 'nothing twice');
  t.same(ids.filter((id) => !id.startsWith('new-')).toSorted(), names(BIG).toSorted());
});

t.test('exports take turns, and leave the connection usable', async (t) => {
  const { connect } = await listening(t, 3000);
  const clients = await Promise.all(Array.from({ length: 5 }, connect));
  for (const client of clients) client.send(EXPORT);
  for (const client of clients) {
    await client.until(/\r\n0\r\n\r\n$/);
    t.equal(client.received.match(/"id":/g)?.length, 3000);
    client.received = '';
    client.send('GET /health HTTP/1.1\r\nhost: a\r\n\r\n');
    await client.until(/healthy/);
  }
});

t.test('ends when its reader goes', async (t) => {
  const { stalled, owned } = await listening(t, BIG);
  const { client, response } = await stalled();
  const closed = once(response, 'close');
  client.close();
  await closed;
  t.ok(response.destroyed);
  t.notOk(response.writableEnded, 'it was not finished');
  t.equal(owned.store.size, BIG);
});

t.test('waits for a busy entry, and breaks the body off if it stays busy', async (t) => {
  const { owned, connect, url } = await listening(t, 100);
  let text: string | undefined;
  // Where the thread stands still, "it stays busy" is true as well.
  for (let tries = 0; text === undefined && tries < TRIES; tries++) {
    const goOn = owned.hold(0, 3);
    const response = await fetch(`${url}/api/v1/products`, LINES);
    goOn();
    text = await response.text().catch(() => undefined);
  }
  t.equal(linesOf(text ?? '').length, 100);
  const letGo = owned.hold(0, 3);
  const client = await connect();
  client.send(EXPORT);
  await client.end();
  t.match(client.received, /^HTTP\/1.1 200 OK/);
  t.notMatch(client.received, /\r\n0\r\n\r\n$/, 'its end says that it is not whole');
  letGo();
});

t.test('a stop waits a second for an export, not longer', async (t) => {
  const { stalled, drain, lifecycle } = await listening(t, BIG);
  const { client } = await stalled();
  lifecycle.phase = 'stopping';
  await drain.beginDrain();
  t.equal(await drain.drained({ idleMs: 20, timeoutMs: PATIENT_MS }), 'closed');
  client.socket.resume();
  await client.end();
  t.notMatch(client.received, /\r\n0\r\n\r\n$/, 'its end says that it is not whole');
});

t.test('an export that its reader keeps up with ends properly during a stop', async (t) => {
  const { connect, drain, lifecycle, app } = await listening(t, 5_000);
  const client = await connect();
  const request = once(app.server, 'request');
  client.send(EXPORT);
  await request;
  lifecycle.phase = 'stopping';
  await drain.beginDrain();
  const drained = drain.drained({ idleMs: 20, timeoutMs: PATIENT_MS });
  t.match(await client.end(), /\r\n0\r\n\r\n$/);
  client.socket.end();
  t.equal(await drained, 'closed');
  t.equal(client.errorCode, undefined);
});

t.test('none begins while stopping or before the service is ready', async (t) => {
  const { lifecycle, url } = await listening(t, 10);
  for (const [phase, code] of [
    ['starting', 'not-ready'],
    ['stopping', 'stopping'],
    ['stopped', 'stopping'],
  ] as const) {
    lifecycle.phase = phase;
    const response = await fetch(`${url}/api/v1/products`, LINES);
    t.equal(response.status, 503);
    t.match(await response.json(), { code });
    t.equal(response.headers.get('retry-after'), '1');
  }
});
