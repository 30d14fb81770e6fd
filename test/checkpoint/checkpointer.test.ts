/**
 * The service around checkpoints: what a start found damaged is known when checkpoints are removed, and a
 * thread that can't be had is a round that failed.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import pino from 'pino';
import t from 'tap';
import { Checkpointer } from '../../src/checkpoint/checkpointer.ts';
import { listParts } from '../../src/checkpoint/part-files.ts';
import { type PartName, partFileName } from '../../src/checkpoint/part-format.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { planStore } from '../../src/store/sizing.ts';
import { createSharedMemory } from '../../src/write-path/memory.ts';
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

t.test('a thread that can not be started is a round that failed, and no more', async (t) => {
  const lines: string[] = [];
  const checkpoints = new Checkpointer({
    memory: createSharedMemory({ queueSize: 1, appliers: 1, store: planStore(4096, 1) }),
    folder: tempDir(t),
    logFolder: tempDir(t),
    everyBytes: 1e6,
    retention: { bytes: 0 },
    logger: pino({ level: 'error' }, { write: (line: string) => void lines.push(line) }),
    // The constructor throws, as it does where the system has no more threads.
    otherLog: { entry: new URL(import.meta.url), data: { cannotBeCloned: () => undefined } },
  });
  t.equal(await checkpoints.runRound(false, true), false);
  t.equal(checkpoints.failed, 1);
  t.equal(checkpoints.isRunning, false);
  t.match(lines, [/could not be cloned.*checkpoint failed/]);
});
