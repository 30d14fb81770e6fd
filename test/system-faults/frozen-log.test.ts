/**
 * A disk that hangs for real (strace holds the log thread in its flush): readiness turns red and says who
 * stands still, everything else goes on, and it turns green by itself. (An applier makes no system call to
 * be held in but the one it sleeps in, where it would hold up whoever wakes it: test/system/stalled-applier.)
 */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, codeOf } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { FrozenThread, threadsNamed } from './frozen-thread.ts';

const WAIT_MS_MAX = 60_000;
const ENV = { MAX_MEMORY_USAGE: '16MB', SHARDS: '8', WORKERS: '2', STALL_TIMEOUT: '300ms' };

async function setup(t: Test) {
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: ENV });
  const port = await service.ready();
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const status = async (wanted: number) => {
    const isSo = async () => {
      const answer = await client.get('/readyz?verbose');
      return answer.status === wanted ? answer : undefined;
    };
    return polled(isSo, WAIT_MS_MAX, `/readyz to answer ${wanted}`);
  };
  const check = async (name: string) => {
    const { checks } = JSON.parse((await client.get('/readyz?verbose')).text);
    return checks.find((each: { name: string }) => each.name === name);
  };
  t.equal((await client.post({ product_id: 'p', price: 1, stock: 1 })).status, 202);
  await status(200);
  return { service, client, status, check, writer: new ApiClient(port) };
}

t.test('a log thread whose disk hangs', async (t) => {
  const { service, client, status, check, writer } = await setup(t);
  t.teardown(() => writer.close());
  const [log] = threadsNamed(service.pid, 'log');
  const held = await FrozenThread.hold(t, log ?? 0, 'fdatasync');
  const waiting = writer.post({ product_id: 'p', price: 2, stock: 2 });
  const red = await status(503);
  t.equal(codeOf(red), 'stalled');
  t.match(JSON.parse(red.text).detail, /^No progress: log for [\d.]+ s, with 1 events waiting\.$/);
  t.match(await check('log'), { ok: false, state: 'stalled' });
  t.match(await check('appliers'), { ok: true });
  t.equal((await client.get('/livez')).status, 200);
  t.match(await client.product('p'), { price: 1 }, 'reads go on');
  await service.logged('watchdog: log makes no progress');

  await held.letGo();
  t.equal((await waiting).status, 202, 'what waited is durable');
  await status(200);
  await service.logged('watchdog: log goes on');
  t.strictSame(await service.stop(), { code: 0, signal: null });
});
