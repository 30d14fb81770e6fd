/** The service around checkpoints: what a start found damaged is known when checkpoints are removed. */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { listParts } from '../../src/checkpoint/part-files.ts';
import { type PartName, partFileName } from '../../src/checkpoint/part-format.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

t.test(
  'a checkpoint that the start found damaged is not one of the two that are kept',
  async (t) => {
    const dataDir = tempDir(t);
    const folder = join(dataDir, 'checkpoint');
    /** Replay seqs of the first shard's parts. */
    const kept = () =>
      listParts(new NodeFileSystem(), folder)
        .filter(({ shard }) => shard === 0)
        .map(({ replayFrom }) => replayFrom);
    /** Serves `events`, with a checkpoint after each. */
    const serve = async (events: number) => {
      const { service, port } = await startReadyService(t, { DATA_DIR: dataDir });
      const client = new ApiClient(port);
      for (let n = 1; n <= events; n++) {
        await client.post({ product_id: 'p', price: n, stock: n });
        await client.visible('p', n);
        t.equal(await service.checkpoints.runRound(false), true);
      }
      client.close();
      t.equal(await service.stop(), true);
    };
    await serve(2);
    t.same(kept(), [3, 2]);
    const [damaged] = listParts(new NodeFileSystem(), folder);
    appendFileSync(join(folder, partFileName(damaged as PartName)), ' ');
    await serve(1);
    t.same(kept(), [4, 3, 2], 'two whole ones, and the damaged one between them');
    await serve(1);
    t.same(kept(), [5, 4]);
  },
);
