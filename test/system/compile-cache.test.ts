/** What was compiled once is there for the next start, however the process ended. */
import { join } from 'node:path';
import t from 'tap';
import { ApiClient } from '../helpers/api-client.ts';
import { ServiceProcess } from '../helpers/service-process.ts';
import { tempDir } from '../helpers/temp-dir.ts';

/** One module of each kind of thread: main, log, applier. */
const MODULES = ['src/http/app.ts', 'src/log/sequencer.ts', 'src/apply/applier.ts'];

t.test('a service that is killed leaves its compile cache', async (t) => {
  const cwd = tempDir(t);
  const env = { NODE_COMPILE_CACHE: join(cwd, 'cache'), DATA_DIR: 'data', ACK: 'applied' };
  const told = async (extra: Record<string, string>) => {
    const service = await ServiceProcess.start(t, { cwd, env: { ...env, ...extra }, under: [] });
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
  const stderr = await told({ NODE_DEBUG_NATIVE: 'COMPILE_CACHE' });
  const lines = stderr.split('\n').filter((line) => line.includes('StrippedTypeScript'));
  for (const module of MODULES) {
    const found = lines.filter((line) => line.includes(`${module}...`));
    t.ok(
      found.some((line) => /success/.test(line)),
      `${module}: ${found[0]}`,
    );
  }
});
