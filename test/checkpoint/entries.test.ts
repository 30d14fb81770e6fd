/** Which entries of the store a checkpoint takes. */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { writePart } from '../../src/checkpoint/part-writer.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { SHARD_INDEX_VERSION, SHARD_USED } from '../../src/store/shard.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { OwnedStore } from '../helpers/models/owned-store.ts';

function filled(): OwnedStore {
  const owned = new OwnedStore(1, 4096);
  for (const id of ['a', 'b', 'c']) owned.put(id);
  return owned;
}

/** How many a part has that is written now. */
function written(t: Test, { shards }: OwnedStore): number {
  const files = new NodeFileSystem();
  const folder = join(tempDir(t), 'checkpoint');
  files.makeFolder(folder);
  return writePart({
    files,
    folder,
    key: { k0: 1, k1: 2 },
    shards,
    shard: 0,
    replayFrom: 4,
    nowMs: 1,
    log: undefined,
    outcomes: () => ({ firstSeq: 1, bytes: new Uint8Array(0) }),
    flushBytes: () => 1,
    pause: () => undefined,
  }).entries;
}

t.test('one that its owner has counted, and not yet put into the index, is left out', async (t) => {
  const owned = filled();
  t.equal(written(t, owned), 3);
  Atomics.store(owned.shards[0].words, SHARD_USED, 4);
  t.equal(
    written(t, owned),
    3,
    'its owner died before the index cell; another may come to its place',
  );
});

t.test('all of them, while the successor of a dead owner makes the index anew', async (t) => {
  const owned = filled();
  const [{ words, cellsAt, cells }] = owned.shards;
  Atomics.store(words, SHARD_INDEX_VERSION, 1);
  words.fill(0, cellsAt, cellsAt + cells);
  t.equal(written(t, owned), 3);
});
