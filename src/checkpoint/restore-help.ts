/**
 * An applier's help with the restoring at start: it claims shards from the board until there are none
 * left, its own or others' (restore-board.ts says why it may). Applier thread, before its loop.
 */
import type { FileSystem } from '../log/file-system.ts';
import { RestoreBoard } from '../store/restore-board.ts';
import { Shard } from '../store/shard.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { restoreClaimed } from './restore.ts';

export interface RestoreHelper {
  readonly memory: SharedMemory;
  /** Which applier. */
  readonly index: number;
  /** Folder of the checkpoints; `undefined` = it does not help. */
  readonly checkpoints?: string | undefined;
}

/** Helps while the board is open. `look` is called for each block, and throws to give it up; tests. */
export function helpRestore(
  { memory, index, checkpoints }: RestoreHelper,
  files: FileSystem,
  look: () => void = () => undefined,
): void {
  const board = new RestoreBoard(memory.board);
  board.giveBack(index);
  if (checkpoints === undefined) return;
  const shards = memory.shards.map((buffer) => new Shard(buffer));
  const image = { shards, key: memory.hashKey, look, board };
  const options = { files, folder: checkpoints, image, onBytes: () => undefined };
  for (let claimed = board.claim(index); claimed !== undefined; claimed = board.claim(index)) {
    try {
      restoreClaimed(options, claimed);
    } catch {
      // The log thread tries again, and reports what is wrong; the memory it then finds must be empty.
      board.giveBack(index);
      return;
    }
  }
}
