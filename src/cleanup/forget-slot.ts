/**
 * The note in the log that a product is forgotten: a slot with its id and the seq that it must still have.
 * Written by the cleanup, applied by store/shard-writer.ts in the order of the log.
 */
import {
  FLAG_ARRIVAL_TIME,
  ID_WORDS,
  KIND_FORGET,
  packMeta,
  SLOT_DOUBLES,
  SLOT_EXPECTED_SEQ,
  SLOT_HASH,
  SLOT_ID,
  SLOT_META,
  SLOT_WORDS,
  type SlotViews,
} from '../ring/slot.ts';
import {
  ENTRY_HASH,
  ENTRY_ID,
  ENTRY_ID_LENGTH_SHIFT,
  ENTRY_META,
  type Shard,
} from '../store/shard.ts';

/** The expected seq of a note that changes nothing: no product has it. */
export const NEVER_SEQ = -1;

/**
 * Writes the note on the product at word `entry` of `shard` to the slot at `index`; false if its place is free. The id is
 * read plainly: who calls it proves by the entry's version that nobody wrote to it meanwhile.
 */
export function putForget(
  { words, doubles }: SlotViews,
  index: number,
  shard: Shard,
  entry: number,
  expectedSeq: number,
): boolean {
  const w = index * SLOT_WORDS;
  const idBytes = shard.words[entry + ENTRY_META] >>> ENTRY_ID_LENGTH_SHIFT;
  if (idBytes === 0) return false;
  words.fill(0, w, w + SLOT_WORDS);
  for (let i = 0; i < ID_WORDS; i++) {
    words[w + SLOT_ID + i] = shard.words[entry + ENTRY_ID + i];
  }
  words[w + SLOT_HASH] = shard.words[entry + ENTRY_HASH];
  words[w + SLOT_META] = packMeta(KIND_FORGET, FLAG_ARRIVAL_TIME, idBytes);
  doubles[index * SLOT_DOUBLES + SLOT_EXPECTED_SEQ] = expectedSeq;
  return true;
}
