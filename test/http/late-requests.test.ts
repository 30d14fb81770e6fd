/** Requests that were too slow, many at once: each is answered, only a few in a turn of the event loop. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import t, { type Test } from 'tap';
import { EarlyAnswers } from '../../src/http/connection/early-answers.ts';
import { createClientErrorHandler } from '../../src/http/connection/protocol-errors.ts';
import { createRequestIds } from '../../src/http/connection/request-ids.ts';
import { tried } from '../helpers/tries.ts';

const SOCKETS = 120;
const PER_TURN_MAX = 16;

/** Counts what happens within a turn of the event loop. */
class Turns {
  most = 0;
  #now = 0;
  #isOver = false;

  constructor() {
    const next = () => {
      this.#now = 0;
      if (!this.#isOver) setImmediate(next);
    };
    next();
  }

  note(): void {
    this.#now++;
    this.most = Math.max(this.most, this.#now);
  }

  end(): void {
    this.#isOver = true;
  }
}

t.test('a hundred that are late at the same moment', async (t) => {
  const turns = new Turns();
  t.teardown(() => turns.end());
  const answers = new EarlyAnswers(createRequestIds(), () => turns.note());
  const server = createServer(
    { headersTimeout: 300, requestTimeout: 300, connectionsCheckingInterval: 200 },
    (request, response) => request.resume().once('end', () => response.end('whole')),
  );
  server.on('clientError', createClientErrorHandler(answers));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const sockets = Array.from({ length: SOCKETS }, () => connect(port, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  for (const socket of sockets) {
    socket.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab');
  }
  const all = await Promise.all(sockets.map((socket) => text(socket)));
  t.equal(all.filter((answer) => answer.startsWith('HTTP/1.1 408 ')).length, SOCKETS);
  t.ok(turns.most > 1, 'they came due together');
  t.ok(turns.most <= PER_TURN_MAX, `${turns.most} in one turn`);
});

t.test('one that becomes whole while it waits for its refusal is served', async (t) => {
  // The kernel may hand on what is written a turn later than it is meant to.
  await tried(() => isServedLate(t), 'it is served');
});

/** Sends the rest of a request in the turn in which it is found late; whether it is served, and not refused. */
async function isServedLate(t: Test): Promise<boolean> {
  let isRefused = false;
  const answers = new EarlyAnswers(createRequestIds(), () => {
    isRefused = true;
  });
  const handle = createClientErrorHandler(answers);
  const server = createServer((request, response) => {
    const { socket } = request;
    request.resume().once('end', () => response.end('whole'));
    // In one callback of a timer: what is written is read before the immediates of the same turn.
    setTimeout(() => {
      client.write('cde');
      handle(Object.assign(new Error('late'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket);
    }, 1);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const client: Socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab');
  const [answer] = await once(client, 'data');
  client.end();
  if (isRefused) {
    client.destroy();
    return false;
  }
  t.match(String(answer), 'HTTP/1.1 200 OK');
  // A refusal would come behind it.
  t.equal(await text(client), '');
  return !isRefused;
}
