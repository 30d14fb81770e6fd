/** The limits of a service with several threads that serve HTTP are the service's, not a thread's. */
import { connect } from 'node:net';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ChangeFollower } from '../helpers/clients/change-follower.ts';
import { connectToAll } from '../helpers/clients/thread-connections.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const THREADS = 3;
const WAIT_MS_MAX = 60_000;
/** Those that send nothing are not late on a slow machine, either. */
const PATIENT = { HEADERS_TIMEOUT: '10m', REQUEST_TIMEOUT: '10m' };

function start(t: Test, env: Record<string, string>) {
  const own = { DATA_DIR: tempDir(t), HTTP_THREADS: String(THREADS) };
  return startReadyService(t, { ...own, ...env });
}

async function follow(t: Test, port: number): Promise<ChangeFollower> {
  const follower = new ChangeFollower({ port });
  t.teardown(() => follower.disconnect());
  await follower.connect();
  return follower;
}

t.test('a client has one rate on all threads', async (t) => {
  const { port } = await start(t, { RATE_LIMIT_READ: '30/1h' });
  const connections = await connectToAll(t, port, THREADS);
  const statuses: number[] = [];
  for (let i = 0; i < 45; i++) {
    const { status } = await connections[i % THREADS].send('GET', '/api/v1/products/none');
    statuses.push(status);
  }
  t.strictSame(statuses, [...Array(30).fill(404), ...Array(15).fill(429)]);
});

t.test('connections are counted together', async (t) => {
  const most = 20;
  const { port } = await start(t, { ...PATIENT, HTTP_MAX_CONNECTIONS: String(most) });
  const sockets = await fill(t, port, most);
  const beyond = connect(port, '127.0.0.1');
  t.teardown(() => beyond.destroy());
  t.notOk(await answers(beyond), 'no other is taken');
  for (const socket of sockets) socket.destroy();
  await polled(
    async () => {
      const again = connect(port, '127.0.0.1');
      t.teardown(() => again.destroy());
      return (await answers(again)) ? true : undefined;
    },
    WAIT_MS_MAX,
    'places to be free again',
  );
});

/** Opens as many connections again as there may be, of which half are dropped. */
async function fill(t: Test, port: number, most: number) {
  const open = new Set<object>();
  let refused = 0;
  const sockets = Array.from({ length: 2 * most }, () => {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => undefined);
    socket.once('connect', () => open.add(socket));
    socket.once('close', () => {
      open.delete(socket);
      refused++;
    });
    t.teardown(() => socket.destroy());
    return socket;
  });
  await polled(
    () => (open.size === most && refused === most ? true : undefined),
    WAIT_MS_MAX,
    'as many to be dropped as there are too many',
  );
  return sockets;
}

t.test('those of administration are counted apart', async (t) => {
  const most = 4;
  const { port, service } = await start(t, {
    ...PATIENT,
    HTTP_MAX_CONNECTIONS: String(most),
    ADMIN_PORT: '0',
  });
  await fill(t, port, most);
  const operators = Array.from({ length: most }, () => {
    const socket = connect(service.adminPort ?? 0, '127.0.0.1');
    t.teardown(() => socket.destroy());
    return socket;
  });
  t.strictSame(await Promise.all(operators.map(answers)), Array(most).fill(true));
  const beyond = connect(service.adminPort ?? 0, '127.0.0.1');
  t.teardown(() => beyond.destroy());
  t.notOk(await answers(beyond), 'and no more than as many');
});

/** Whether a request on it is answered. */
function answers(socket: ReturnType<typeof connect>): Promise<boolean> {
  return new Promise((resolve) => {
    socket.on('error', () => resolve(false));
    socket.once('close', () => resolve(false));
    socket.once('data', () => resolve(true));
    socket.write('GET /livez HTTP/1.1\r\nhost: a\r\n\r\n');
  });
}

t.test('followers are counted together', async (t) => {
  const { port, service } = await start(t, { CHANGES_FOLLOWERS_MAX: '6' });
  const followers = [];
  for (let i = 0; i < 6; i++) followers.push(await follow(t, port));
  for (let i = 0; i < 6; i++) {
    const refused = await fetch(`http://127.0.0.1:${port}/api/v1/changes`);
    t.equal(refused.status, 503);
    t.match(await refused.json(), { code: 'too-many-followers' });
  }
  followers[0].disconnect();
  await polled(
    async () => {
      if (!service.changes.enter()) return undefined;
      service.changes.leave();
      return true;
    },
    WAIT_MS_MAX,
    'a place to be free',
  );
  await follow(t, port);
});

t.test('a batch under a key is taken by one thread at a time', async (t) => {
  const { port } = await start(t, {});
  const [one, other] = await connectToAll(t, port, THREADS);
  const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': 'batch-1' };
  const line = JSON.stringify({ product_id: 'a', price: 1, stock: 1 });
  const body = heldBody();
  const first = fetch(`http://127.0.0.1:${port}/api/v1/events/batch?on_error=continue`, {
    method: 'POST',
    headers,
    body: body.stream,
    duplex: 'half',
  } as RequestInit);
  body.send(`${line}\n`);
  for (const connection of [one, other]) {
    const answer = await polled(
      async () => {
        const given = await connection.send('POST', '/api/v1/events/batch', `${line}\n`, headers);
        return given.status === 409 ? given : undefined;
      },
      WAIT_MS_MAX,
      'the key to be taken',
    );
    t.match(JSON.parse(answer.text), { code: 'idempotency-in-progress' });
  }
  body.end();
  t.equal((await first).status, 202);
  await polled(
    async () => {
      const again = await other.send(
        'POST',
        '/api/v1/events/batch?on_error=continue',
        `${line}\n`,
        headers,
      );
      return again.status === 202 ? true : undefined;
    },
    WAIT_MS_MAX,
    'the key to be free',
  );
});

/** A body that goes on when the test says so. */
function heldBody() {
  const { readable: stream, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  const encoder = new TextEncoder();
  return {
    stream,
    send: (text: string) => void writer.write(encoder.encode(text)),
    end: () => void writer.close(),
  };
}
