/** What was compiled once is there for the next start, however the process ended. */
import { join } from 'node:path';
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

/** One module of each kind of thread: main, log, applier. */
const MODULES = ['src/http/app.ts', 'src/log/sequencer.ts', 'src/apply/applier.ts'];
const STARTS_MAX = 10;

t.test('a service that is killed leaves its compile cache', async (t) => {
  const cwd = tempDir(t);
  const env = { NODE_COMPILE_CACHE: join(cwd, 'cache'), DATA_DIR: 'data', ACK: 'applied' };
  const told = async (extra: Record<string, string>) => {
    const service = await ServiceProcess.start(t, { cwd, env: { ...env, ...extra } });
    const client = new ApiClient(await service.ready());
    // It is answered by all threads, after what they do at their start.
    const { status } = await client.post({ product_id: 'a', price: 1, stock: 1 });
    t.equal(status, 200);
    client.close();
    service.kill('SIGKILL');
    await service.exited;
    return service.stderr;
  };
  await told({});
  // Node prints such a line in pieces, and threads print at the same time: some starts show all.
  const found = new Set<string>();
  for (let starts = 0; found.size < MODULES.length && starts < STARTS_MAX; starts++) {
    const stderr = await told({ NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
    const hits = stderr.split('\n').filter((line) => /StrippedTypeScript.*success/.test(line));
    for (const module of MODULES) {
      if (hits.some((line) => line.includes(`${module}...`))) found.add(module);
    }
  }
  t.strictSame([...found].sort(), MODULES.toSorted());
});
