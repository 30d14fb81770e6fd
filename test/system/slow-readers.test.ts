/** Who does not take its answer is cut off, whatever it takes now and then; the others have all of it. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { bounded } from '../helpers/bounded.ts';
import { lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { tried } from '../helpers/tries.ts';

/** An export of 17 MB: more than the kernel's buffers on both sides. */
const PRODUCTS = 80_000;
const WAIT_MS_MAX = 60_000;

/** Nothing else would close them within the test. */
const env = { REQUEST_TIMEOUT: '10m', KEEP_ALIVE_TIMEOUT: '10m', ANSWER_TIMEOUT: '1s' };
const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
const port = await service.ready();
const { body } = await sendBatch(port, lines(PRODUCTS), { query: '?ack=applied' });
t.equal(body.accepted, PRODUCTS);

const EXPORT =
  'GET /api/v1/products?view=full HTTP/1.1\r\nhost: localhost\r\naccept: application/x-ndjson\r\n\r\n';

async function ask(t: Test, text: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1' });
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  socket.write(text);
  socket.on('error', () => undefined);
  return socket;
}

/** Resolves when the server has closed the connection, seen by writing to it. */
function cutOff(socket: Socket): Promise<unknown> {
  const knocking = setInterval(() => socket.write('\r\n'), 50);
  const closed = new Promise((resolve) => socket.once('close', resolve));
  return bounded(closed, WAIT_MS_MAX, 'the service to cut it off').finally(() => {
    clearInterval(knocking);
  });
}

t.test('an export whose reader takes nothing is cut off', async (t) => {
  const socket = await ask(t, EXPORT);
  await cutOff(socket);
  t.pass();
});

t.test('and one whose reader takes a byte now and then', async (t) => {
  const socket = await ask(t, EXPORT);
  const sipping = setInterval(() => socket.read(1), 20);
  t.teardown(() => clearInterval(sipping));
  await cutOff(socket);
  t.pass();
});

t.test('and who asks for pages, one behind the other, and takes none of them', async (t) => {
  const page = 'GET /api/v1/products?limit=1000&view=full HTTP/1.1\r\nhost: localhost\r\n\r\n';
  const socket = await ask(t, page.repeat(200));
  await cutOff(socket);
  t.pass();
});

t.test('who pauses now and then, or is slow, has all of it', (t) =>
  tried(() => readSlowly(t), 'a whole export, on a machine that lets a second pass now and then'),
);

/** Whether all came; a reader whose machine makes him pause for a second is cut off. */
async function readSlowly(t: Test): Promise<boolean> {
  const socket = await ask(t, EXPORT);
  let bytes = 0;
  let products = 0;
  let tail = '';
  socket.on('data', (chunk: Buffer) => {
    tail = tail.slice(-5) + chunk.toString('latin1');
    products += chunk.toString('latin1').split('"id":').length - 1;
    bytes += chunk.length;
    // Some six seconds in all, none of which is a whole one.
    socket.pause();
    setTimeout(() => socket.resume(), chunk.length / 3000);
    if (tail.endsWith('0\r\n\r\n')) socket.emit('whole');
  });
  const isWhole = Promise.race([
    once(socket, 'whole').then(() => true),
    once(socket, 'close').then(() => false),
  ]);
  if (!(await bounded(isWhole, WAIT_MS_MAX, 'the whole export'))) return false;
  t.ok(bytes > 8_000_000, `${bytes} bytes`);
  t.ok(
    products > PRODUCTS * 0.99,
    `${products} products, but for those on the border of two chunks`,
  );
  return true;
}
