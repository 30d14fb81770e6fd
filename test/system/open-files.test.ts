/** Few descriptors and many idle clients: the log always gets its own. */
import { connect, type Socket } from 'node:net';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { lines, openBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const FILES = 120;
const CLIENTS = 100;
const WAIT_MS_MAX = 60_000;
const limited = (files: number) => ['/bin/sh', '-c', `ulimit -n ${files} && exec "$@"`, 'sh'];
const ENV = { MAX_MEMORY_USAGE: '16MB', SEGMENT_SIZE: '1MB', CHECKPOINT_EVERY: '2MB' };

t.test(`${CLIENTS} idle clients of a service that may open ${FILES} files`, async (t) => {
  const service = await ServiceProcess.start(t, {
    cwd: tempDir(t),
    env: ENV,
    under: limited(FILES),
  });
  const port = await service.ready();
  const { level, msg } = await service.logged('connections at the most');
  t.equal(level, 40);
  const most = Number.parseInt(msg, 10);
  t.ok(most >= 8 && most < FILES, msg);

  // Two that do something come first; then all the others, some of which are closed as they come.
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  t.equal((await client.get('/livez')).status, 200);
  const idle: Socket[] = [];
  let closed = 0;
  for (let n = 0; n < CLIENTS; n++) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    socket.on('close', () => closed++);
    socket.resume();
    idle.push(socket);
  }
  t.teardown(() => {
    for (const socket of idle) socket.destroy();
  });
  await polled(() => closed >= CLIENTS - most || undefined, WAIT_MS_MAX, 'the rest to be closed');
  for (let segment = 0; segment < 3; segment++) {
    const sent: Promise<number>[] = [];
    for (let n = 0; n < 20; n++) {
      sent.push(
        client.post({ product_id: `p${n}`, price: 1, stock: 1 }).then(({ status }) => status),
      );
    }
    t.strictSame([...new Set(await Promise.all(sent))], [202]);
    // Its connection is let in when one of the idle ones has gone.
    idle[segment]?.destroy();
    idle.at(-1 - segment)?.destroy();
    await filled();
  }
  await service.logged('checkpoint');
  t.equal(
    service.log.find(({ level: each }) => each > 40),
    undefined,
    'nothing ran out',
  );
  t.strictSame(await service.stop(), { code: 0, signal: null });

  /** Sends more than a segment holds, over the one connection that is left free. */
  async function filled(): Promise<void> {
    const status = await polled(
      async () => {
        try {
          const { call, answered } = openBatch(port, { query: '?on_error=continue' });
          call.end(lines(20_000));
          return (await answered).status;
        } catch {
          return undefined;
        }
      },
      WAIT_MS_MAX,
      'a batch to be let in',
    );
    t.equal(status, 202, 'more than a segment is durable');
  }
});

t.test('too few files to run at all are refused in one line', async (t) => {
  const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env: ENV, under: limited(70) });
  t.strictSame(await service.exit(), { code: 2, signal: null });
  t.match(service.stderr, /^product-service: 70 open files are too few \(ulimit -n\)[^\n]*\n$/);
});
