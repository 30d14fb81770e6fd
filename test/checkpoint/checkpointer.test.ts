/** The service around checkpoints: what a start found damaged is known when checkpoints are removed. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkpointName } from '../../src/checkpoint/format.ts';
import { listCheckpoints } from '../../src/checkpoint/reader.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { ApiClient } from '../helpers/api-client.ts';
import { startReadyService } from '../helpers/service-in-process.ts';
import { tempDir } from '../helpers/temp-dir.ts';

t.test(
  'a checkpoint that the start found damaged is not one of the two that are kept',
  async (t) => {
    const dataDir = tempDir(t);
    const folder = join(dataDir, 'checkpoint');
    const kept = () => listCheckpoints(new NodeFileSystem(), folder);
    /** Serves `events`, with a checkpoint after each. */
    const serve = async (events: number) => {
      const { service, port } = await startReadyService(t, { DATA_DIR: dataDir });
      const client = new ApiClient(port);
      for (let n = 1; n <= events; n++) {
        await client.post({ product_id: 'p', price: n, stock: n });
        await client.visible('p', n);
        t.equal(await service.checkpoints.take(false), true);
      }
      client.close();
      t.equal(await service.stop(), true);
    };
    await serve(2);
    t.same(kept(), [3, 2]);
    appendFileSync(join(folder, checkpointName(3), 'manifest.json'), ' ');
    await serve(1);
    t.same(kept(), [4, 3, 2], 'two whole ones, and the damaged one between them');
    await serve(1);
    t.same(kept(), [5, 4]);
  },
);
