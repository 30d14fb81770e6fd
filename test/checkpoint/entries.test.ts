/** Which entries of the store a checkpoint takes. */
import { join } from 'node:path';
import t from 'tap';
import { writePart } from '../../src/checkpoint/part-writer.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { SHARD_USED } from '../../src/store/shard.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { OwnedStore } from '../helpers/models/owned-store.ts';

t.test('one that its owner has counted, and not yet put into the index, is left out', async (t) => {
  const owned = new OwnedStore(1, 4096);
  for (const id of ['a', 'b', 'c']) owned.put(id);
  const [shard] = owned.shards;
  const written = (counted: number) => {
    Atomics.store(shard.words, SHARD_USED, counted);
    const files = new NodeFileSystem();
    const folder = join(tempDir(t), 'checkpoint');
    files.makeFolder(folder);
    return writePart({
      files,
      folder,
      key: { k0: 1, k1: 2 },
      shards: owned.shards,
      shard: 0,
      replayFrom: 4,
      nowMs: 1,
      log: undefined,
      outcomes: () => ({ firstSeq: 1, bytes: new Uint8Array(0) }),
      flushBytes: () => 1,
      pause: () => undefined,
    }).entries;
  };
  t.equal(written(3), 3);
  t.equal(written(4), 3, 'its owner died before the index cell; another may come to its place');
});
