/** What each signal does to the real process, however it is started and as early as it may come. */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { handlesSignals } from '../helpers/processes/handles-signals.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { tried } from '../helpers/tries.ts';

const ENV = { MAX_MEMORY_USAGE: '16MB', WORKERS: '1' };

async function stopped(t: Test, service: ServiceProcess, signal: string): Promise<void> {
  t.strictSame(await service.exit(), { code: 0, signal: null }, `${signal} stops it in order`);
  t.equal(service.stderr, '');
  t.match(
    service.log.find(({ msg }) => msg === 'stopping'),
    { signal },
    'and it says so',
  );
  t.match(service.log.at(-1), { msg: 'stopped' });
}

for (const signal of ['SIGQUIT', 'SIGUSR2'] as const) {
  t.test(signal, async (t) => {
    const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: ENV });
    service.kill(signal);
    await stopped(t, service, signal);
  });
}

t.test('SIGHUP and SIGUSR1 change nothing', async (t) => {
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: ENV });
  const client = new ApiClient(await service.ready());
  t.teardown(() => client.close());
  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) {
    service.kill(signal);
    await service.logged(`${signal} changes nothing`);
  }
  t.equal((await client.post({ product_id: 'a', price: 1, stock: 1 })).status, 202);
  t.equal(service.stderr, '', 'no inspector is opened, which would say so there');
  service.kill('SIGTERM');
  await stopped(t, service, 'SIGTERM');
});

t.test('one that comes before anything is loaded', async (t) => {
  await tried(async () => {
    const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env: ENV });
    await handlesSignals(service.pid);
    service.kill('SIGTERM');
    await stopped(t, service, 'SIGTERM');
    return !service.log.some(({ msg }) => msg.startsWith('ready on'));
  }, 'it had not begun');
});

t.test('the inspector is off from the first moment in all the ways it is started', (t) => {
  const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
  const FLAG = 'node --disable-sigusr1 ';
  t.ok(read('src/main.ts').startsWith(`#!/usr/bin/env -S ${FLAG.trim()}\n`), 'npx product-service');
  const { scripts } = JSON.parse(read('package.json'));
  for (const name of ['start', 'dev']) t.ok(scripts[name].includes(` ${FLAG}`), `npm run ${name}`);
  t.match(read('Dockerfile'), '\nCMD ["node", "--disable-sigusr1", "src/main.ts"]\n');
  const composed = parse(read('docker-compose.yml')).services['product-service'];
  for (const name of ['command', 'entrypoint']) {
    t.equal(composed[name], undefined, 'compose starts it as the image does');
  }
  t.end();
});
