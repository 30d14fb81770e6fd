/**
 * Which MAX_MEMORY_USAGE would do for data that does not fit: counts the products in a data folder, by
 * the recovery's own reading, in little memory. Only for the line that refuses a start. Main thread.
 */
import { join, resolve } from 'node:path';
import { formatBytes } from '../config/quantity.ts';
import type { Config } from '../config/schema.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../log/data-dir.ts';
import { ReadOnlyFiles } from '../maintenance/read-only-files.ts';
import { recover } from '../recovery/recovery.ts';
import { metaIdBytes, SLOT_ID, SLOT_META, SLOT_WORDS } from '../ring/slot.ts';
import { NoRoomError } from '../store/no-room-error.ts';
import { ENTRY_ID, ENTRY_ID_LENGTH_SHIFT, ENTRY_META, ENTRY_WORDS } from '../store/shard.ts';
import { planStore } from '../store/sizing.ts';
import { DistinctIds } from './distinct-ids.ts';

const KB = 1 << 10;
const MB = 1 << 20;

/** `reason`, with the figure that would do if it is that the store has no room. */
export function roomNeeded(config: Config, reason: string): string {
  if (reason !== new NoRoomError().message) return reason;
  try {
    const products = countProducts(config.dataDir);
    const bytes = storeBytesFor(products, config);
    return `MAX_MEMORY_USAGE=${formatBytes(config.storeBytesMax)} is too small for the products in the log, some ${products}: ${formatBytes(bytes)} would hold them, with no room for more`;
  } catch {
    return reason;
  }
}

/** At least as many as there are, and at most some 6 % more. */
function countProducts(dataDir: string): number {
  const ids = new DistinctIds();
  recover({
    files: new ReadOnlyFiles(),
    folder: join(resolve(dataDir), LOG_FOLDER),
    checkpoints: join(resolve(dataDir), CHECKPOINT_FOLDER),
    report: () => undefined,
    sink: {
      entries: ({ words }, first, count) => {
        for (let w = first * ENTRY_WORDS; w < (first + count) * ENTRY_WORDS; w += ENTRY_WORDS) {
          ids.add(words, w + ENTRY_ID, words[w + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT);
        }
      },
      frame: ({ words }, first, { count }) => {
        for (let w = first * SLOT_WORDS; w < (first + count) * SLOT_WORDS; w += SLOT_WORDS) {
          ids.add(words, w + SLOT_ID, metaIdBytes(words[w + SLOT_META]));
        }
      },
      keys: () => undefined,
      receipts: () => undefined,
      outcomes: () => undefined,
      finish: () => undefined,
    },
  });
  return ids.estimateAbove();
}

/** The smallest MAX_MEMORY_USAGE with room for so many, in whole MB (KB below one). */
function storeBytesFor(products: number, { storeBytesMax, shards }: Config): number {
  const hasRoom = (bytes: number) => planStore(bytes, shards).productsMax >= products;
  let enough = storeBytesMax;
  while (!hasRoom(enough)) enough *= 2;
  const unit = enough < MB ? KB : MB;
  let tooFew = 0;
  for (enough = Math.ceil(enough / unit); enough - tooFew > 1; ) {
    const middle = Math.floor((tooFew + enough) / 2);
    if (hasRoom(middle * unit)) enough = middle;
    else tooFew = middle;
  }
  return enough * unit;
}
