/** A disk that fails while the service starts: it says so in one line and exits, and harms nothing. */
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { underStrace } from '../helpers/processes/strace.ts';

// The compile cache renames files of its own.
const ENV = { MAX_MEMORY_USAGE: '16MB', WORKERS: '2', NODE_DISABLE_COMPILE_CACHE: '1' };

/** In this order on one folder: the failed starts leave it as half-made as they got. */
const NEW_FOLDER = [
  'fsync:error=EIO:when=1', // of the data folder itself
  'pwrite64:error=ENOSPC:when=1', // the segment's header
  'rename:error=EIO:when=1',
  'fdatasync:error=EIO:when=2', // of the file that names the newest segment
];
const USED_FOLDER = [
  'pwrite64:error=ENOSPC:when=1', // the last frame, again
  'fdatasync:error=EIO:when=1',
];

t.test('a disk that fails at start', async (t) => {
  const cwd = tempDir(t);
  for (const inject of NEW_FOLDER) await refused(inject);
  await succeeds(undefined);
  for (const inject of USED_FOLDER) await refused(inject);
  await succeeds(1);

  async function refused(inject: string): Promise<void> {
    const { under, trace } = underStrace(t, [inject]);
    const service = ServiceProcess.spawn(t, { cwd, env: ENV, under });
    t.strictSame(await service.exit(), { code: 1, signal: null }, inject);
    const [, call = '', error = ''] = /^(\w+):error=(\w+)/.exec(inject) ?? [];
    t.strictSame(trace.injected, { [`${call} ${error}`]: 1 }, 'it was injected');
    t.match(service.stderr, new RegExp(`^product-service: can't .*${error}.*\n$`), 'one line');
    t.notMatch(service.stdout, /"ready on/);
  }

  async function succeeds(priceBefore: number | undefined): Promise<void> {
    const service = await ServiceProcess.start(t, { cwd, env: ENV });
    const client = new ApiClient(await service.ready());
    t.equal((await client.product('p'))?.price, priceBefore, 'all is as it was');
    t.equal((await client.post({ product_id: 'p', price: 1, stock: 1 })).status, 202);
    client.close();
    await service.crash();
  }
});
