/**
 * A container's memory limit, for real: what can't fit is refused, and with the figure that is named the
 * store can be filled to the last product while nobody is killed. The arithmetic: test/process/limits.test.ts.
 */
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { openBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { MemoryCgroup } from './memory-cgroup.ts';

const MB = 1 << 20;
const BATCH_PRODUCTS = 20_000;

t.test('a limit of 450 MB', async (t) => {
  const cgroup = new MemoryCgroup(450 * MB);
  t.teardown(() => cgroup.remove());
  const { under } = cgroup;
  const cwd = tempDir(t);
  const refused = ServiceProcess.spawn(t, { cwd, under });
  t.strictSame(await refused.exit(), { code: 2, signal: null }, 'the default is refused');
  const figure = /allows 450MB: MAX_MEMORY_USAGE=(\d+MB) fits\n$/.exec(refused.stderr)?.[1] ?? '';
  t.ok(figure, refused.stderr);
  const checked = ServiceProcess.spawn(t, { cwd, under, args: ['--check-config'] });
  t.strictSame(await checked.exit(), { code: 2, signal: null }, 'by --check-config too');
  t.equal(checked.stderr, refused.stderr);

  // As npm start and the image have it: huge pages take somewhat more.
  const env = { MAX_MEMORY_USAGE: figure, GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };
  const service = await ServiceProcess.start(t, { cwd, under, env });
  const port = await service.ready();
  const room = Number((await service.logged('room for')).productsMax);
  t.comment(`MAX_MEMORY_USAGE=${figure}: ${room} products`);
  for (let first = 0; first < room; first += BATCH_PRODUCTS) {
    let body = '';
    for (let n = first; n < Math.min(room, first + BATCH_PRODUCTS); n++) {
      body += `{"product_id":"product ${n}","price":1,"stock":1,"event_id":"e${n}"}\n`;
    }
    const { call, answered } = openBatch(port, { query: '?on_error=continue' });
    call.end(body);
    const { status } = await answered;
    if (status !== 202) t.equal(status, 202, `products from ${first}`);
  }
  const client = new ApiClient(port);
  await client.visible(`product ${room - 1}`, 1);
  client.close();
  t.strictSame(await service.stop(), { code: 0, signal: null }, 'a checkpoint included');
  t.equal(cgroup.oomKills, 0, 'nobody was killed');
});
