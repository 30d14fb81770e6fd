/** /readyz is red while the log is replayed and while the service drains; /livez is green throughout. */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, codeOf } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService, startService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { GATED_LOG, installGates } from '../helpers/threads/log-gates.ts';

const RED_MS_MAX = 60_000;
const EVENT = { product_id: 'p', price: 2, stock: 2 };

/** A folder with one product in it. */
async function folder(t: Test): Promise<{ DATA_DIR: string }> {
  const env = { DATA_DIR: tempDir(t) };
  const { service, port } = await startReadyService(t, env);
  const client = new ApiClient(port);
  t.equal((await client.post({ ...EVENT, price: 1 })).status, 202);
  client.close();
  t.equal(await service.stop(), true);
  return env;
}

/** A service that is held in its replay. */
async function replaying(t: Test) {
  const env = await folder(t);
  const { read } = installGates();
  t.teardown(() => read.open());
  read.close();
  const { service, port } = await startService(t, env, { threads: { log: GATED_LOG } });
  await read.arrival();
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  return { env, service, client, read };
}

t.test('while the log is replayed', async (t) => {
  const { service, client, read } = await replaying(t);
  const readyz = await client.get('/readyz');
  t.equal(readyz.status, 503);
  t.equal(codeOf(readyz), 'not-ready');
  t.equal((await client.get('/livez')).status, 200);
  t.equal((await client.get('/health')).text, '{"status":"healthy"}');
  const write = await client.post(EVENT);
  t.equal(write.status, 503, 'writes are refused');
  t.equal(codeOf(write), 'not-ready');
  t.ok(Number(write.headers['retry-after']) >= 1);
  const early = await client.get('/api/v1/products/p');
  t.equal(early.status, 503, 'so are reads: what is not there yet is not unknown');

  read.open();
  await service.ready();
  t.equal((await client.get('/readyz')).status, 200);
  t.equal((await client.get('/livez')).status, 200);
  t.match(await client.product('p'), { price: 1 }, 'the state before is there, the refused is not');
  t.equal((await client.post(EVENT)).status, 202);
});

t.test('a stop while the log is replayed', async (t) => {
  const { env, service, client: early, read } = await replaying(t);
  await early.get('/livez');
  // On its way when the stop begins.
  const asked = early.get('/api/v1/products/p');
  const stopped = service.stop();
  t.equal(service.phase, 'stopping');
  const got = await asked;
  t.equal(got.status, 503, 'reads stay refused: the store is not whole');
  t.equal(codeOf(got), 'stopping');
  read.open();
  t.equal(await stopped, true, 'it stops cleanly');
  const again = await startReadyService(t, env);
  const client = new ApiClient(again.port);
  t.teardown(() => client.close());
  t.match(await client.product('p'), { price: 1 }, 'and has lost nothing');
});

t.test('while it drains', async (t) => {
  const env = { SHUTDOWN_TIMEOUT: '1h', DRAIN_DELAY: '30m' };
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  const client = new ApiClient(await service.ready());
  t.teardown(() => client.close());
  t.equal((await client.get('/readyz')).status, 200);
  service.kill('SIGTERM');
  const red = await polled(
    async () => {
      const answer = await client.get('/readyz');
      return answer.status === 200 ? undefined : answer;
    },
    RED_MS_MAX,
    '/readyz to turn red',
  );
  t.equal(red.status, 503);
  t.equal(codeOf(red), 'stopping');
  t.equal((await client.get('/livez')).status, 200);
  t.equal((await client.post(EVENT)).status, 202, 'what still comes is served');
  t.match(await client.visible('p', 2), { stock: 2 });
});

t.test('a drain that ends by itself', async (t) => {
  const env = { SHUTDOWN_TIMEOUT: '60s', DRAIN_DELAY: '200ms' };
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  t.strictSame(await service.stop(), { code: 0, signal: null });
});
