/** Logs and checkpoints of every released format version load, give the state they always gave, and go on. */
import { cpSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { checkpointName, filesOf, windowsName } from '../../src/checkpoint/format.ts';
import { readHashKey } from '../../src/checkpoint/part-files.ts';
import {
  checkCheckpoint,
  listCheckpoints,
  listWindows,
  readCheckpoint,
} from '../../src/checkpoint/reader.ts';
import { restoreCheckpoints } from '../../src/checkpoint/restore.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { OUTCOME_UNKNOWN } from '../../src/outcome/outcome-window.ts';
import { RestoreBoard } from '../../src/store/restore-board.ts';
import { Shard, shardSize } from '../../src/store/shard.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { BUILT_SET } from '../helpers/disks/built-data.ts';
import { recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { type ModelProduct, readProduct } from '../helpers/models/product-model.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';

const FIXTURES = join(import.meta.dirname, 'fixtures');

interface Expected {
  readonly events: number;
  /** By `id:` and the product's id, because `__proto__` is one. */
  readonly products: Readonly<Record<string, Partial<ModelProduct>>>;
}

/** The files of each checkpoint, and how many keys and outcomes the newest one knows. */
const CHECKPOINTS: Readonly<Record<string, Record<string, number>>> = {
  'format-1-checkpoints': { files: 4, keys: 0, receipts: 0, outcomes: 0 },
  'format-1-windows': { files: 6, keys: 13, receipts: 0, outcomes: 42 },
  'format-1-receipts': { files: 7, keys: 8, receipts: 4, outcomes: 34 },
  // Of the windows.
  'format-2-parts': { files: 3, keys: 8, receipts: 4, outcomes: 34 },
};

function knownIn(dataDir: string) {
  const files = new NodeFileSystem();
  const folder = join(dataDir, 'checkpoint');
  const [windows] = listWindows(files, folder);
  const newest = windows ?? listCheckpoints(files, folder)[0] ?? 0;
  const name = windows === undefined ? checkpointName(newest) : windowsName(newest);
  const checked = checkCheckpoint(files, folder, newest, name);
  if ('reason' in checked) throw new Error(checked.reason);
  const known = { files: filesOf(checked.manifest).length, keys: 0, receipts: 0, outcomes: 0 };
  readCheckpoint(files, checked, {
    entries: () => undefined,
    keys: (_, count) => {
      known.keys += count;
    },
    receipts: (_slots, _first, count) => {
      known.receipts += count;
    },
    outcomes: (_, bytes) => {
      known.outcomes += bytes.filter((outcome) => outcome !== OUTCOME_UNKNOWN).length;
    },
  });
  return known;
}

const formats = readdirSync(FIXTURES).filter((name) => /^format-\d+(-[a-z]+)?$/.test(name));
t.same(formats.sort(), [
  'format-1',
  'format-1-checkpoints',
  'format-1-receipts',
  'format-1-windows',
  'format-2-parts',
]);

for (const format of formats) {
  t.test(format, async (t) => {
    const expected: Expected = JSON.parse(
      readFileSync(join(FIXTURES, format, 'expected.json'), 'utf8'),
    );
    const dataDir = tempDir(t);
    cpSync(join(FIXTURES, format), dataDir, { recursive: true });
    const known = CHECKPOINTS[format];
    if (known !== undefined) t.same(knownIn(dataDir), known);
    const { events, tornTail } = recovered(dataDir);
    t.equal(events.length, expected.events);
    t.equal(tornTail, undefined, 'nothing is cut');

    const check = (pipeline: Pipeline) => {
      for (const [key, product] of Object.entries(expected.products)) {
        t.match(readProduct(pipeline.path.store, key.slice('id:'.length)), product, key);
      }
    };
    const pipeline = await Pipeline.start(t, { dataDir });
    const restored = pipeline.logged.find(({ msg }) => msg.includes('damaged'));
    t.equal(restored, undefined, 'nothing is passed over');
    check(pipeline);
    const event = { productId: 'new', price: 1, stock: 2, occurredAtMs: 3 };
    t.equal(await pipeline.send(event), expected.events + 1, 'the numbers go on');
    t.equal(await pipeline.stop(), true);

    const again = await Pipeline.start(t, { dataDir });
    check(again);
    t.match(readProduct(again.path.store, 'new'), { price: 1, seq: expected.events + 1 });
    t.equal(await again.stop(), true);
  });
}

t.test('parts of format 2, in as many shards, lie in memory as they are', (t) => {
  const files = new NodeFileSystem();
  const folder = join(FIXTURES, 'format-2-parts', 'checkpoint');
  const key = readHashKey(files, folder);
  if (key === undefined) throw new Error('no key');
  const shards = Array.from({ length: BUILT_SET.shards }, () => Shard.create(shardSize(8192)));
  const { products, converted, replayFrom } = restoreCheckpoints({
    files,
    folder,
    image: {
      shards,
      key,
      board: new RestoreBoard(RestoreBoard.create(shards.length)),
      restored: () => undefined,
      look: () => undefined,
    },
    visitor: {
      entries: () => t.fail('nothing is converted'),
      keys: () => undefined,
      receipts: () => undefined,
    },
    onDamaged: (name) => t.fail(name),
    onBytes: () => undefined,
  });
  t.equal(converted, 0);
  t.equal(replayFrom, 33);
  const store = new SharedProductStore(shards, key);
  t.equal(store.size, products);
  const expected: Expected = JSON.parse(
    readFileSync(join(FIXTURES, 'format-2-parts', 'expected.json'), 'utf8'),
  );
  for (const [id, product] of Object.entries(expected.products)) {
    // What was set behind the checkpoint is in the log.
    if ((product.seq ?? 0) >= replayFrom + 2) continue;
    t.match(readProduct(store, id.slice('id:'.length)), product, id);
  }
  t.end();
});
