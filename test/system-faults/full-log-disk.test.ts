/**
 * Standard output in a file on a disk that is full, while the data's disk is fine: the service serves,
 * stops and starts, and goes on logging as soon as there is room.
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { SmallDisk } from '../helpers/disks/small-disk.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const MB = 1 << 20;
const WAIT_MS_MAX = 60_000;

t.test('a full log disk', async (t) => {
  const disk = new SmallDisk(t, MB);
  const file = join(disk.path, 'service.log');
  const stdout = openSync(file, 'a');
  t.teardown(() => closeSync(stdout));
  const cwd = tempDir(t);
  // It can't be read from a log that is full.
  const port = await freePort();
  const env = { MAX_MEMORY_USAGE: '16MB', WORKERS: '2', PORT: `${port}` };
  const start = () => ServiceProcess.spawn(t, { cwd, env, stdout });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const isReady = async () => {
    const { status } = await client.get('/readyz').catch(() => ({ status: 0 }));
    return status === 200 || undefined;
  };
  const writes = async (price: number) => {
    t.equal((await client.post({ product_id: 'p', price, stock: 1 })).status, 202);
    await client.visible('p', price);
  };

  const first = start();
  await polled(isReady, WAIT_MS_MAX, 'it to be ready');
  disk.leave(0);
  // More lines than the file's last page has room for.
  const beforeBytes = readFileSync(file).length;
  for (let n = 0; n < 60; n++) {
    first.kill('SIGHUP');
    await writes(n + 1);
  }
  t.ok(readFileSync(file).length - beforeBytes < 4096, 'the disk took no more');
  disk.free();
  const lines = () => {
    const text = readFileSync(file, 'utf8');
    const whole = text.slice(0, text.lastIndexOf('\n'));
    return whole.split('\n').map((line) => JSON.parse(line));
  };
  await polled(
    () => lines().filter(({ msg }) => msg === 'SIGHUP changes nothing').length >= 50 || undefined,
    WAIT_MS_MAX,
    'the lines, when there is room: each is JSON',
  );
  disk.leave(0);
  t.strictSame(await first.stop(), { code: 0, signal: null }, 'it stops cleanly on the full disk');
  t.equal(first.stderr, '');

  const second = start();
  await polled(isReady, WAIT_MS_MAX, 'it to start on the full disk');
  await writes(100);
  t.strictSame(await second.stop(), { code: 0, signal: null });
});
