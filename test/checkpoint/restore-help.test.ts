/** Several threads restore one store: whatever becomes of a helper, every shard is whole at the end. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { restoreCheckpoints } from '../../src/checkpoint/restore.ts';
import { helpRestore } from '../../src/checkpoint/restore-help.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { RestoreBoard } from '../../src/store/restore-board.ts';
import { Shard } from '../../src/store/shard.ts';
import { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { planStore } from '../../src/store/sizing.ts';
import { createSharedMemory } from '../../src/write-path/memory.ts';
import { BUILT_KEY, BUILT_SET, BuiltData, namesOf } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { readProduct } from '../helpers/models/product-model.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const PRODUCTS = 600;
const APPLIERS = 3;

function build(t: Test): BuiltData {
  const data = new BuiltData(join(tempDir(t), 'data'), new Random(testSeed()), PRODUCTS);
  return data.segment(100).checkpoint().segment(100).checkpoint().seal();
}

/** Empty memory with the data's key, and what a start does with it. */
function start(data: BuiltData) {
  const store = planStore(1 << 20, BUILT_SET.shards);
  const memory = createSharedMemory({
    queueSize: 1,
    appliers: APPLIERS,
    store,
    hashKey: BUILT_KEY,
  });
  const shards = memory.shards.map((buffer) => new Shard(buffer));
  const board = new RestoreBoard(memory.board);
  const files = new NodeFileSystem();
  const folder = data.checkpointFolder;
  const help = (index: number) => helpRestore({ memory, index, checkpoints: folder }, files);
  const damaged: string[] = [];
  const restored: number[] = [];
  /** `look` is other threads' turn. */
  const restore = (look: () => void) =>
    restoreCheckpoints({
      files,
      folder,
      image: {
        shards,
        key: memory.hashKey,
        look,
        board,
        restored: (shard, seq) => {
          restored[shard] = seq;
        },
      },
      visitor: { entries: () => undefined, keys: () => undefined, receipts: () => undefined },
      onDamaged: (name) => damaged.push(name),
      onBytes: () => undefined,
    });
  const products = new SharedProductStore(shards, memory.hashKey);
  return { shards, board, help, damaged, restored, restore, products };
}

function assertWhole(t: Test, data: BuiltData, products: SharedProductStore): void {
  const model = data.model();
  t.equal(products.size, model.products.size);
  const wrong = [...model.products].filter(([id, { seq }]) => {
    const found = readProduct(products, id);
    return typeof found === 'string' || found.seq !== seq;
  });
  t.same(wrong, []);
}

t.test('helpers take what is left, and nothing that is claimed', (t) => {
  const data = build(t);
  const { restore, help, products, restored } = start(data);
  let looks = 0;
  restore(() => {
    if (looks++ === 0) help(1);
  });
  assertWhole(t, data, products);
  t.same(restored, Array(BUILT_SET.shards).fill(data.nextSeq));
  t.end();
});

t.test('a helper that dies leaves rubbish: its successor gives the shard back', (t) => {
  const data = build(t);
  const { restore, help, board, shards, products } = start(data);
  let looks = 0;
  restore(() => {
    looks++;
    if (looks === 1) {
      const claimed = board.claim(2);
      if (claimed === undefined) throw new Error('nothing is left');
      const { words, cellsAt } = shards[claimed.shard];
      words.fill(0x01010101, cellsAt);
      words[0] = 7;
    }
    // The log thread has done all others, and waits for this one.
    if (looks === 8) help(2);
  });
  t.ok(looks >= 8);
  assertWhole(t, data, products);
  t.end();
});

t.test('who starts when all is done finds nothing to do', (t) => {
  const data = build(t);
  const { restore, help, board, products } = start(data);
  t.notOk(board.isOpen, 'not begun');
  restore(() => undefined);
  t.notOk(board.isOpen, 'closed');
  help(0);
  t.equal(board.claim(0), undefined);
  assertWhole(t, data, products);
  t.end();
});

t.test(
  'a part that a helper finds damaged is found by the log thread too: the older one serves',
  (t) => {
    const data = build(t);
    const name = namesOf(data.nextSeq)[3];
    const path = join(data.checkpointFolder, name);
    const bytes = readFileSync(path);
    bytes[5000] = bytes[5000] ^ 1;
    writeFileSync(path, bytes);
    const { restore, help, damaged, restored } = start(data);
    let looks = 0;
    const { replayFrom } = restore(() => {
      if (looks++ === 0) help(1);
    });
    t.same(damaged, [name]);
    const [older, newer] = data.checkpoints as [number, number];
    t.same(restored, [newer, newer, older, newer]);
    t.equal(replayFrom, older);
    t.end();
  },
);

t.test('a start that is given up leaves no board open', (t) => {
  const data = build(t);
  const { restore, board } = start(data);
  const stop = () => {
    throw new Error('stop');
  };
  t.throws(() => restore(stop), /stop/);
  t.notOk(board.isOpen);
  t.end();
});
