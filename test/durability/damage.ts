/**
 * Damage that no crash makes: a flipped bit, a deleted file, two files swapped, a block of another
 * place. A recovery must refuse it, naming file and place, or come to exactly the right state all
 * the same. One case can't be told from a crash: damage in the very last frame; then that is cut,
 * and said. And a damaged checkpoint alone never stops a start. Tests only.
 */
import assert from 'node:assert/strict';
import { readHashKey } from '../../src/checkpoint/part-files.ts';
import { LogDamagedError } from '../../src/log/log-damaged-error.ts';
import type { Random } from '../helpers/models/random.ts';
import type { ExpectedLog } from './expected-log.ts';
import { CHECKPOINT_FOLDER, RecoveredState, SMALL } from './recovered-state.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

/** How the recovery took it. */
export type Damage = 'refused' | 'harmless' | 'told, state right' | 'last frame cut' | 'no files';

/**
 * Damages `disk` once at random and recovers from it. Throws if the recovery believes it. `mayForget`: it
 * has lost a file of checkpoints before.
 */
export function damageDisk(
  disk: SimulatedDisk,
  expected: ExpectedLog,
  random: Random,
  mayForget: boolean,
): Damage {
  const found = disk.files('/data').filter(({ path }) => !path.endsWith('.tmp'));
  if (found.length === 0) return 'no files';
  const { what, path, isTwofold = false } = injectDamage(disk, found, random);
  try {
    const damage = recoverDamaged(disk, expected, isTwofold || mayForget);
    const isCheckpoint = path?.startsWith(CHECKPOINT_FOLDER) === true;
    assert.ok(!isCheckpoint || damage !== 'refused', 'there is another checkpoint, or all the log');
    return damage;
  } catch (error) {
    throw new Error(`after ${what}: ${(error as Error).message}`, { cause: error });
  }
}

type Files = ReturnType<SimulatedDisk['files']>;

const BLOCK_BYTES = 64;

/** Returns what was done, in words, and to which file if it was one. */
function injectDamage(
  disk: SimulatedDisk,
  files: Files,
  random: Random,
): { readonly what: string; readonly path?: string; readonly isTwofold?: boolean } {
  const { path, node } = random.pick(files);
  const kind = random.below(10);
  if (kind === 0) {
    disk.remove(path);
    return { what: `deleting ${path}`, path };
  }
  if (kind === 1) {
    const other = random.pick(files);
    [node.cached, other.node.cached] = [other.node.cached, node.cached];
    return { what: `swapping ${path} and ${other.path}`, isTwofold: true };
  }
  if (node.cached.length === 0) return { what: 'nothing' };
  if (kind === 2) {
    const from = random.pick(files);
    const block = from.node.cached.subarray(0, BLOCK_BYTES * random.below(20));
    const to = BLOCK_BYTES * random.below(Math.ceil(node.cached.length / BLOCK_BYTES));
    block.subarray(-BLOCK_BYTES).copy(node.cached, to);
    return { what: `a block of ${from.path} at byte ${to} of ${path}`, path };
  }
  const at = random.below(node.cached.length);
  const bit = random.below(8);
  node.cached[at] = node.cached[at] ^ (1 << bit);
  return { what: `flipping bit ${bit} of byte ${at} of ${path}`, path };
}

/**
 * Recovers from a disk that may be damaged: refused, right, or the last frame cut and told. Each outcome
 * is in two files of checkpoints: if two are damaged or lost it may be forgotten, but never wrong.
 */
export function recoverDamaged(
  disk: SimulatedDisk,
  expected: ExpectedLog,
  isTwofold = false,
): Damage {
  const state = new RecoveredState(0, SMALL, readHashKey(disk, CHECKPOINT_FOLDER));
  try {
    state.recover(disk);
  } catch (error) {
    if (!(error instanceof LogDamagedError)) throw error;
    assert.match(
      error.message,
      /^\/data\S* (is damaged at byte \d+: .+ see `npm run repair`|can't be read: .+ another version)/,
    );
    return 'refused';
  }
  const cut = state.told.find(({ type }) => type === 'torn-tail');
  const passedOver = state.told.some(({ type }) => type === 'checkpoint-damaged');
  const end = state.nextSeq;
  if (end - 1 >= expected.promised) {
    expected.check(state, isTwofold && passedOver);
    return cut !== undefined || passedOver ? 'told, state right' : 'harmless';
  }
  assert.ok(cut !== undefined, `${end - 1} of ${expected.promised} events, and nothing was said`);
  expected.checkCut(state, end);
  const lastBatchMs = expected.commitTimeOf(expected.promised);
  assert.equal(expected.commitTimeOf(end), lastBatchMs, 'more than the last frame was cut');
  assert.notEqual(expected.commitTimeOf(end - 1), lastBatchMs, 'a frame was cut in part');
  return 'last frame cut';
}
