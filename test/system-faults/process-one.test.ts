/** Process 1 of a container without an init: the kernel drops what it doesn't handle, so it handles all. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { handlesSignals } from '../helpers/processes/handles-signals.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const WAIT_MS_MAX = 60_000;
/** A test that is held up may see a service that has begun already. */
const TRIES_MAX = 10;
const UNDER = ['/usr/bin/unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

/** The service as process 1, and its id outside. */
async function spawnAsOne(t: Parameters<typeof ServiceProcess.spawn>[0]) {
  const env = { MAX_MEMORY_USAGE: '16MB', WORKERS: '1' };
  const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env, under: UNDER });
  const childOf = () => {
    const children = readFileSync(`/proc/${service.pid}/task/${service.pid}/children`, 'utf8');
    const pid = Number.parseInt(children, 10);
    return Number.isNaN(pid) ? undefined : pid;
  };
  return { service, pid: await polled(childOf, WAIT_MS_MAX, 'unshare to have a child') };
}

t.test('SIGTERM before anything is loaded', async (t) => {
  let isEarly = false;
  for (let tries = 0; !isEarly && tries < TRIES_MAX; tries++) {
    const { service, pid } = await spawnAsOne(t);
    await handlesSignals(pid);
    isEarly = service.stdout === '';
    process.kill(pid, 'SIGTERM');
    t.strictSame(await service.exit(), { code: 0, signal: null });
    t.match(service.log.at(-1), { msg: 'stopped' });
  }
  t.ok(isEarly, 'it had not begun');
});

t.test('SIGTERM while it starts', async (t) => {
  const { service, pid } = await spawnAsOne(t);
  await service.logged('store: room for');
  process.kill(pid, 'SIGTERM');
  t.strictSame(await service.exit(), { code: 0, signal: null });
  t.match(service.log.at(-1), { msg: 'stopped' });
});

t.test('each other signal', async (t) => {
  const { service, pid } = await spawnAsOne(t);
  await service.ready();
  t.match(service.log[0], { msg: /, process 1, data in / });
  for (const signal of ['SIGHUP', 'SIGUSR1'] as const) {
    process.kill(pid, signal);
    await service.logged(`${signal} changes nothing`);
  }
  process.kill(pid, 'SIGQUIT');
  t.strictSame(await service.exit(), { code: 0, signal: null });
});
