/** The load of the HTTP benches believes only what was answered. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { type LoadShape, sendLoad } from '../../bench/support/http-load.ts';

const REQUESTS = Array.from({ length: 40 }, () => ({ method: 'GET', path: '/' }) as const);
const SHAPES: readonly LoadShape[] = [
  { connections: 1, pipelining: 1, requests: 50 },
  { connections: 4, pipelining: 1, requests: 50 },
  { connections: 1, pipelining: 10, requests: 50 },
  { connections: 4, pipelining: 10, requests: 50 },
  { connections: 4, pipelining: 10, requests: 5 },
];

async function listening(t: Test, handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('counts as many answers as requests, with pipelining too', async (t) => {
  let served = 0;
  const url = await listening(t, (_request, response) => {
    served++;
    response.end('x');
  });
  for (const shape of SHAPES) {
    served = 0;
    const { requests } = await sendLoad(url, REQUESTS, shape);
    t.equal(requests, shape.connections * shape.requests);
    t.equal(served, requests, 'the server saw no other number');
  }
});

for (const [how, handler] of Object.entries({
  // As long as autocannon waits for an answer, a silent server would cost; it cuts instead.
  'cuts a connection in the middle of a load': (served) => served === 20,
  'cuts the last of a pipeline': (served) => served >= 49,
} satisfies Record<string, (served: number) => boolean>)) {
  t.test(`throws at a server that ${how}`, async (t) => {
    for (const shape of SHAPES.filter(({ requests }) => requests === 50)) {
      let served = 0;
      const url = await listening(t, (request, response) => {
        if (handler(++served)) request.socket.destroy();
        else response.end('x');
      });
      await t.rejects(sendLoad(url, REQUESTS, shape), /answers to \d+ of \d+ requests/);
    }
  });
}

t.test('throws at a server that answers with an error', async (t) => {
  let served = 0;
  const url = await listening(t, (_request, response) => {
    response.statusCode = ++served === 20 ? 503 : 200;
    response.end('x');
  });
  for (const shape of SHAPES.filter(({ requests }) => requests === 50)) {
    served = 0;
    await t.rejects(sendLoad(url, REQUESTS, shape), /1 not 2xx \(.*503: 1\)/);
  }
});
