/** Which entries of the store a checkpoint takes. */
import { join } from 'node:path';
import t from 'tap';
import { writeCheckpoint } from '../../src/checkpoint/writer.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { SHARD_USED } from '../../src/store/shard.ts';
import { OwnedStore } from '../helpers/owned-store.ts';
import { tempDir } from '../helpers/temp-dir.ts';

t.test('one that its owner has counted, and not yet put into the index, is left out', async (t) => {
  const owned = new OwnedStore(1, 4096);
  for (const id of ['a', 'b', 'c']) owned.put(id);
  const [shard] = owned.shards;
  const written = (counted: number) => {
    Atomics.store(shard.words, SHARD_USED, counted);
    const files = new NodeFileSystem();
    const folder = join(tempDir(t), 'checkpoint');
    files.makeFolder(folder);
    const rest = { nowMs: 1, log: undefined, pause: () => undefined, windows: undefined };
    return writeCheckpoint({ files, folder, replayFrom: 4, shards: owned.shards, ...rest }).entries;
  };
  t.equal(written(3), 3);
  t.equal(written(4), 3, 'its owner died before the index cell; another may come to its place');
});
