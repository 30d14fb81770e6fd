/** Draining connections: everybody in flight is answered, nobody is reset. Real sockets. */
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import { ConnectionDrain } from '../../src/http/connection/drain.ts';
import { GET_HEALTH, postEvent, RawClient } from '../helpers/clients/raw-client.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const PATIENT_MS = 60_000;

async function listening(t: Test) {
  const fakes = fakeApp();
  const { server } = fakes.app;
  const drain = new ConnectionDrain(server);
  await fakes.app.listen({ port: 0, host: '127.0.0.1' });
  const { port } = server.address() as { port: number };
  const clients: RawClient[] = [];
  t.teardown(async () => {
    for (const client of clients) client.close();
    await fakes.app.close();
  });
  /** Connects and waits until the server has the connection too. */
  const connect = async () => {
    const accepted = once(server, 'connection');
    const client = await RawClient.connect(port);
    clients.push(client);
    await accepted;
    return client;
  };
  return { ...fakes, server, drain, port, connect };
}

t.test('resolves at once when nobody is connected', async (t) => {
  const { drain, server } = await listening(t);
  await drain.beginDrain();
  t.equal(await drain.drained({ timeoutMs: PATIENT_MS }), 'closed');
  t.notOk(server.listening);
});

t.test('stops listening', async (t) => {
  const { drain, port } = await listening(t);
  await drain.beginDrain();
  await drain.drained({ timeoutMs: PATIENT_MS });
  await t.rejects(RawClient.connect(port), { code: 'ECONNREFUSED' });
});

t.test('answers the event in flight, says close, then closes', async (t) => {
  const { drain, connect, intake } = await listening(t);
  intake.autoDurable = false;
  const client = await connect();
  const offered = intake.nextOffer();
  client.send(postEvent('p'));
  const { waiter } = await offered;
  await drain.beginDrain();
  const drained = drain.drained({ idleMs: 20, timeoutMs: PATIENT_MS });
  waiter?.durable(3);
  const text = await client.end();
  t.match(text, /^HTTP\/1\.1 202 [\s\S]*"seq":3\}$/);
  t.match(text, /^connection: close\r$/im);
  t.equal(client.errorCode, undefined);
  client.socket.end();
  t.equal(await drained, 'closed');
});

t.test('does not take an event in flight for idle, however long it lasts', async (t) => {
  const { drain, connect, intake } = await listening(t);
  intake.autoDurable = false;
  const pending = await connect();
  const offered = intake.nextOffer();
  pending.send(postEvent('p'));
  const { waiter } = await offered;
  const idle = await connect();
  await drain.beginDrain();
  const drained = drain.drained({ idleMs: 10, timeoutMs: PATIENT_MS });
  await idle.end(); // so idleMs has passed for both
  t.notOk(pending.ended);
  waiter?.durable(1);
  t.match(await pending.end(), /"seq":1\}$/);
  pending.socket.end();
  t.equal(await drained, 'closed');
});

t.test('serves a keep-alive client once more, says close, then closes', async (t) => {
  const { drain, connect } = await listening(t);
  const client = await connect();
  client.send(GET_HEALTH);
  await client.until(/healthy/);
  await drain.beginDrain();
  const drained = drain.drained({ timeoutMs: PATIENT_MS });
  client.send(GET_HEALTH);
  const text = await client.end();
  const [first, second] = text.split(/(?<=healthy"\})/);
  t.match(first, /^connection: keep-alive\r$/im);
  t.match(second, /200 OK[\s\S]*^connection: close\r$[\s\S]*healthy/im);
  t.equal(client.errorCode, undefined);
  client.socket.end();
  t.equal(await drained, 'closed');
});

t.test('serves a request that lay in the kernel when the drain began', async (t) => {
  const { drain, connect } = await listening(t);
  const client = await connect();
  client.send(GET_HEALTH);
  await client.until(/healthy/);
  // Written and in the server's receive buffer before this turn ends: nothing has read it yet.
  client.send(GET_HEALTH);
  await drain.beginDrain();
  const drained = drain.drained({ timeoutMs: PATIENT_MS });
  t.match(await client.end(), /healthy[\s\S]*healthy/);
  t.equal(client.errorCode, undefined);
  client.socket.end();
  t.equal(await drained, 'closed');
});

t.test('serves a connection that the kernel had completed when the drain began', async (t) => {
  const { drain, port } = await listening(t);
  const connected = new Int32Array(new SharedArrayBuffer(4));
  const client = new Worker(
    `const { parentPort, workerData: { port, connected, text } } = require('node:worker_threads');
    let received = '';
    const socket = require('node:net').connect(port, '127.0.0.1', () => {
      socket.write(text);
      Atomics.store(connected, 0, 1);
      Atomics.notify(connected, 0);
    });
    socket.on('data', (data) => { received += data; });
    socket.on('error', ({ code }) => parentPort.postMessage(code));
    socket.on('end', () => parentPort.postMessage(received));`,
    { eval: true, workerData: { port, connected, text: GET_HEALTH } },
  );
  const answer = once(client, 'message');
  await once(client, 'online');
  // While this thread is blocked here, it accepts nothing.
  Atomics.wait(connected, 0, 0);
  await drain.beginDrain();
  const drained = drain.drained({ timeoutMs: PATIENT_MS });
  t.match((await answer)[0], /^HTTP\/1\.1 200 [\s\S]*healthy/);
  t.equal(await drained, 'closed');
  await client.terminate();
});

t.test('every answer says close, problems too', async (t) => {
  const { drain, connect } = await listening(t);
  const requests = [
    'GET /nope HTTP/1.1\r\nhost: a\r\n\r\n',
    'GET /api/v1/products/%zz HTTP/1.1\r\nhost: a\r\n\r\n',
    'PUT /health HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n',
    postEvent('p').replace('"price":1', '"price":x'),
    postEvent('p').replace('application/json', 'text/plainxxxxxx'),
    postEvent('p'),
  ];
  const clients = [];
  for (const _ of requests) clients.push(await connect());
  await drain.beginDrain();
  for (const [i, client] of clients.entries()) {
    client.send(requests[i]);
    t.match(await client.end(), /^connection: close\r$/im, requests[i].slice(0, 30));
    t.equal(client.errorCode, undefined);
  }
});

t.test('answers all pipelined events and says close on the last only', async (t) => {
  const { drain, connect, intake } = await listening(t);
  intake.autoDurable = false;
  const client = await connect();
  for (const id of ['a', 'b', 'c']) {
    const offered = intake.nextOffer();
    client.send(postEvent(id));
    await offered;
  }
  await drain.beginDrain();
  const offered = intake.nextOffer();
  client.send(postEvent('d'));
  await offered;
  for (const [i, { waiter }] of intake.offers.entries()) waiter?.durable(i + 1);
  const text = await client.end();
  t.match(text, /"seq":1\}[\s\S]*"seq":2\}[\s\S]*"seq":3\}[\s\S]*"seq":4\}$/);
  t.equal(text.match(/^connection: close\r$/gim)?.length, 1);
  t.match(text.slice(text.indexOf('"seq":3')), /connection: close/i);
  t.equal(client.errorCode, undefined);
});

t.test('requests after the goodbye are not taken, and reset nobody', async (t) => {
  const { drain, connect, intake } = await listening(t);
  const client = await connect();
  await drain.beginDrain();
  const drained = drain.drained({ idleMs: 20, timeoutMs: PATIENT_MS });
  client.send(postEvent('a'));
  const text = await client.end();
  t.match(text, /connection: close[\s\S]*"seq":1\}$/i);
  for (let i = 0; i < 50; i++) client.send(postEvent('late'));
  client.socket.end();
  await client.closed();
  t.equal(await drained, 'closed');
  t.equal(client.errorCode, undefined);
  t.equal(intake.offers.length, 1);
});

t.test('closes idle connections after idleMs, also ones that never sent anything', async (t) => {
  const { drain, connect } = await listening(t);
  const silent = await connect();
  const served = await connect();
  served.send(GET_HEALTH);
  await served.until(/healthy/);
  t.equal(drain.openCount, 2);
  const startMs = performance.now();
  await drain.beginDrain();
  t.equal(await drain.drained({ idleMs: 100, timeoutMs: PATIENT_MS }), 'closed');
  t.ok(performance.now() - startMs >= 100);
  t.equal(drain.openCount, 0);
  for (const client of [silent, served]) {
    await client.end();
    t.equal(client.errorCode, undefined);
  }
});

t.test('gives up after timeoutMs with what is left', async (t) => {
  const { drain, connect, intake } = await listening(t);
  intake.autoDurable = false;
  const client = await connect();
  const offered = intake.nextOffer();
  client.send(postEvent('p'));
  const { waiter } = await offered;
  await drain.beginDrain();
  t.equal(await drain.drained({ idleMs: 10, timeoutMs: 50 }), 'timed-out');
  t.equal(drain.openCount, 1);
  waiter?.durable(1); // let it end
  await client.end();
});

t.test('keep-alive agents under load see only whole answers', async (t) => {
  const { drain, port, intake } = await listening(t);
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  t.teardown(() => agent.destroy());
  let refused = false;
  let answered = 0;
  /** One event; resolves false once the server no longer takes connections. */
  const post = () =>
    new Promise<boolean>((resolve, reject) => {
      const body = '{"product_id":"p","price":1,"stock":1}';
      const headers = { 'content-type': 'application/json', 'content-length': body.length };
      const path = '/api/v1/events';
      const outgoing = request({ port, host: '127.0.0.1', path, method: 'POST', agent, headers });
      outgoing.on('response', (response) => {
        t.equal(response.statusCode, 202);
        response.resume().on('end', () => {
          answered++;
          resolve(true);
        });
      });
      outgoing.on('error', (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ECONNREFUSED') return reject(error);
        refused = true;
        resolve(false);
      });
      outgoing.end(body);
    });
  const worker = async () => {
    while (await post()) if (answered === 200) void drain.beginDrain();
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  t.ok(refused);
  t.ok(answered >= 200);
  t.equal(intake.offers.length, answered, 'every event taken was answered');
  t.equal(await drain.drained({ timeoutMs: PATIENT_MS }), 'closed');
});

t.test('closing the app after a drain ends quietly', async (t) => {
  const { app, drain, connect } = await listening(t);
  const client = await connect();
  await drain.beginDrain();
  await drain.beginDrain();
  await drain.drained({ idleMs: 20, timeoutMs: PATIENT_MS });
  await app.close();
  await client.end();
  t.equal(client.errorCode, undefined);
});
