/** A service can be started and stopped many times in one process, and leaves nothing behind. */
import { readdirSync } from 'node:fs';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const STARTS = 20;
/** By then everything that is made once and kept is made. */
const WARM_STARTS = 5;
const GONE_MS_MAX = 60_000;

type Leftovers = ReturnType<typeof leftovers>;

/** What a service could leave open or attached in its process. */
function leftovers() {
  const listeners = process.eventNames().map((name) => process.listenerCount(name));
  return {
    files: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    listeners: listeners.reduce((sum, count) => sum + count, 0),
    timers: process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length,
  };
}

t.test(`${STARTS} times on one folder`, async (t) => {
  const env = { DATA_DIR: tempDir(t), WORKERS: '1', SHARDS: '2' };
  let before = leftovers();
  for (let n = 1; n <= STARTS; n++) {
    const { service, port } = await startReadyService(t, env);
    const client = new ApiClient(port);
    for (let earlier = 1; earlier < n; earlier++) {
      const product = await client.product(`start ${earlier}`);
      if (product?.stock !== earlier) t.fail(`start ${n}: product of start ${earlier} is missing`);
    }
    const { status } = await client.post({ product_id: `start ${n}`, price: n, stock: n });
    t.equal(status, 202);
    client.close();
    t.equal(await service.stop(), true);
    t.equal(await service.stop(), true, 'stopping it again changes nothing');
    t.equal(service.phase, 'stopped');
    if (n === WARM_STARTS) before = leftovers();
  }
  // Threads and their files go a moment after their `exit`.
  const more = () =>
    Object.entries(leftovers()).filter(([what, count]) => count > before[what as keyof Leftovers]);
  await polled(() => (more().length === 0 ? true : undefined), GONE_MS_MAX, 'them to go').catch(
    () => undefined,
  );
  t.strictSame(more(), [], `no more than after ${WARM_STARTS} starts: ${JSON.stringify(before)}`);
});

t.test('two side by side', async (t) => {
  const services = await Promise.all(
    [1, 2].map(() => startReadyService(t, { DATA_DIR: tempDir(t) })),
  );
  const clients = services.map(({ port }) => new ApiClient(port));
  t.teardown(() => {
    for (const client of clients) client.close();
  });
  for (const [n, client] of clients.entries()) {
    t.equal((await client.post({ product_id: 'p', price: n, stock: n })).status, 202);
  }
  t.equal(await services[0].service.stop(), true);
  t.equal((await clients[1].post({ product_id: 'q', price: 9, stock: 9 })).status, 202);
  await clients[1].visible('q', 9);
  t.match(await clients[1].product('p'), { price: 1 }, 'the other has its own state and goes on');
});
