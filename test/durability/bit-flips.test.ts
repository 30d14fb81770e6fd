/**
 * One bit flipped at 2,000 random places of the files of a real run. Found means: the start refuses
 * it, or says what it passed over (a checkpoint) or cut (the tail) and comes to the right state; or,
 * where a start need not look (an older checkpoint), the check of that file finds it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { windowsName } from '../../src/checkpoint/format.ts';
import { listParts, readHashKey, readPart } from '../../src/checkpoint/part-files.ts';
import { checkCheckpoint, listWindows } from '../../src/checkpoint/reader.ts';
import { LOCK_NAME } from '../../src/log/folder-lock.ts';
import { LogDamagedError } from '../../src/log/log-damaged-error.ts';
import { ENTRY_BYTES } from '../../src/store/shard.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { readProduct } from '../helpers/models/product-model.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER, RecoveredState } from './recovered-state.ts';
import { SimulatedDisk } from './simulated-disk.ts';

const FLIPS = 2000;
const EVENTS = 120;
const PRODUCTS = 40;
const LARGE = {
  intakeSlots: 64,
  dedupeEvents: 64,
  batches: 8,
  outcomeEvents: 1024,
  // As many as the service has: then its parts lie in memory as they are.
  shards: 8,
  shardBytes: 1 << 13,
};

/** The files of a service that took two checkpoints, more events, and a third when it stopped. */
async function realFiles(t: Test): Promise<SimulatedDisk> {
  const folder = tempDir(t);
  const { service, port } = await startReadyService(t, { DATA_DIR: folder });
  const client = new ApiClient(port);
  for (let n = 1; n <= EVENTS; n++) {
    const product_id = `product-${n % PRODUCTS}`;
    const { status } = await client.post({ product_id, price: n / 4, stock: n });
    if (status !== 202) throw new Error(`event ${n}: ${status}`);
    if (n % 50 === 0 && !(await service.checkpoints.runRound(false)))
      throw new Error('no checkpoint');
  }
  client.close();
  await service.stop();
  const disk = new SimulatedDisk();
  load(disk, join(folder, 'log'), LOG_FOLDER);
  load(disk, join(folder, 'checkpoint'), CHECKPOINT_FOLDER);
  return disk;
}

function load(disk: SimulatedDisk, from: string, to: string): void {
  disk.makeFolder(to);
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    if (entry.isDirectory()) load(disk, source, `${to}/${entry.name}`);
    else if (entry.name !== LOCK_NAME) {
      const bytes = readFileSync(source);
      const file = disk.create(`${to}/${entry.name}`);
      disk.write(file, bytes, 0, bytes.length, 0);
      disk.close(file);
    }
  }
}

function productsOf(state: RecoveredState): string {
  const products = Array.from({ length: PRODUCTS }, (_, n) =>
    readProduct(state.store, `product-${n}`),
  );
  return JSON.stringify(products);
}

/** How the flip was found; `missed` or `wrong` if it was not. */
function outcome(disk: SimulatedDisk, right: string): string {
  const state = new RecoveredState(0, LARGE, readHashKey(disk, CHECKPOINT_FOLDER));
  try {
    state.recover(disk);
  } catch (error) {
    if (error instanceof LogDamagedError) return 'refused';
    throw error;
  }
  if (productsOf(state) !== right || state.nextSeq !== EVENTS + 1) return 'wrong';
  const told = state.told.find(({ type }) => type === 'torn-tail' || type === 'checkpoint-damaged');
  if (told !== undefined) return told.type;
  const into = { memory: (_: number, count: number) => Buffer.alloc(count * ENTRY_BYTES) };
  const found = [
    ...listWindows(disk, CHECKPOINT_FOLDER).map((seq) =>
      checkCheckpoint(disk, CHECKPOINT_FOLDER, seq, windowsName(seq)),
    ),
    ...listParts(disk, CHECKPOINT_FOLDER).map((part) =>
      readPart(disk, CHECKPOINT_FOLDER, part, { ...into, accepted: () => undefined }),
    ),
  ];
  const isFound = found.some((one) => 'reason' in one);
  return isFound ? 'older checkpoint' : 'missed';
}

const seed = testSeed();
t.test(`${FLIPS} bits, seed ${seed}`, async (t) => {
  const disk = await realFiles(t);
  const before = new RecoveredState(0, LARGE, readHashKey(disk, CHECKPOINT_FOLDER));
  before.recover(disk);
  const right = productsOf(before);
  t.equal(before.nextSeq, EVENTS + 1);
  t.equal(outcome(disk, right), 'missed', 'nothing is found where nothing is wrong');
  t.equal(listWindows(disk, CHECKPOINT_FOLDER).length, 2);
  t.equal(listParts(disk, CHECKPOINT_FOLDER).length, 2 * LARGE.shards);

  const random = new Random(seed);
  const folders = [disk.files(LOG_FOLDER), disk.files(CHECKPOINT_FOLDER)];
  const counts: Record<string, number> = {};
  const missed: string[] = [];
  for (let n = 0; n < FLIPS; n++) {
    const { path, node } = random.pick(random.pick(folders));
    const at = random.below(node.cached.length);
    const bit = 1 << random.below(8);
    node.cached[at] = node.cached[at] ^ bit;
    const found = outcome(disk, right);
    node.cached[at] = node.cached[at] ^ bit;
    counts[found] = (counts[found] ?? 0) + 1;
    if (found === 'missed' || found === 'wrong') missed.push(`${found}: byte ${at} of ${path}`);
  }
  t.same(missed, []);
  t.comment(JSON.stringify(counts));
});
