/**
 * deploy/systemd/product-service.service: what systemd's own tools say of it, and a real systemd that
 * starts it as an unprivileged user of its own, starts it again after a crash with its data, and stops it.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { parseDuration } from '../../src/config/quantity.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { freePort } from '../helpers/servers/free-port.ts';
import { PrivateSystemd } from './private-systemd.ts';

const UNIT = 'product-service.service';
const WAIT_MS_MAX = 120_000;
/** Of 100; systemd calls everything under 20 "OK". What is missing: V8 needs memory to run code from, and a server the network. */
const EXPOSURE_MAX = 15;
const text = readFileSync(new URL(`../../deploy/systemd/${UNIT}`, import.meta.url), 'utf8');

t.setTimeout(300_000);

t.test("systemd's own tools find nothing wrong, and little that is exposed", (t) => {
  const folder = tempDir(t);
  const program = join(folder, 'product-service');
  writeFileSync(program, '', { mode: 0o755 });
  mkdirSync(join(folder, 'units'));
  const file = join(folder, 'units', UNIT);
  writeFileSync(file, text.replace(/^ExecStart=.*$/m, `ExecStart=${program}`));
  const verified = spawnSync('systemd-analyze', ['verify', '--man=no', file], { encoding: 'utf8' });
  t.equal(`${verified.stdout}${verified.stderr}`, '');
  t.equal(verified.status, 0);
  const args = ['security', '--offline=true', `--threshold=${EXPOSURE_MAX}`, '--no-pager', file];
  const exposed = spawnSync('systemd-analyze', args, { encoding: 'utf8' });
  t.equal(
    exposed.status,
    0,
    exposed.stdout
      .split('\n')
      .filter((line) => !line.startsWith('✓'))
      .join('; '),
  );
  t.end();
});

t.test('systemd waits longer for the exit than the service takes', (t) => {
  const waits = /^TimeoutStopSec=(\d+)$/m.exec(text)?.[1];
  t.ok((parseDuration(`${waits}s`) ?? 0) > loadConfig({}).shutdownTimeoutMs);
  t.end();
});

t.test('a real systemd starts it, after a kill again, and stops it', async (t) => {
  const port = await freePort();
  const small = 'Environment=MAX_MEMORY_USAGE=16MB WORKERS=1';
  const dropIn = `[Service]\n${small} PORT=${port}\n`;
  const systemd = await PrivateSystemd.start(t, UNIT, text, dropIn);
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const ready = () =>
    polled(
      async () => {
        const answer = await client.send('GET', '/readyz').catch(() => undefined);
        return answer?.status === 200 || undefined;
      },
      WAIT_MS_MAX,
      'it to be ready',
    );
  await ready();
  const pid = systemd.property(UNIT, 'MainPID');
  const user = systemd.run('stat', '-c', '%U', `/proc/${pid}`).trim();
  t.equal(user, 'product-service', 'as a user of its own');
  const answer = await client.post({ product_id: 'x', price: 1, stock: 2 });
  t.equal(answer.status, 202);
  t.equal(systemd.run('stat', '-L', '-c', '%a', '/var/lib/product-service').trim(), '700');

  systemd.run('kill', '-9', pid);
  await polled(
    () => systemd.property(UNIT, 'NRestarts') === '1' || undefined,
    WAIT_MS_MAX,
    'systemd to start it again',
  );
  await ready();
  t.match(await client.product('x'), { price: 1, stock: 2 }, 'with its data');

  systemd.run('systemctl', 'stop', UNIT);
  t.equal(systemd.property(UNIT, 'ActiveState'), 'inactive');
  t.equal(systemd.property(UNIT, 'Result'), 'success');
  t.equal(systemd.property(UNIT, 'ExecMainStatus'), '0', 'it exited by itself');
});
