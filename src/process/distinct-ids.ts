/**
 * Counts different product ids in 16 KB, whatever their number: HyperLogLog (Flajolet et al., 2007)
 * with linear counting for few. Pure, any thread.
 */
import { hashId } from '../store/id-hash.ts';

const REGISTER_BITS = 14;
const REGISTERS = 1 << REGISTER_BITS;
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS);
/** Its standard error is 1.04 / √REGISTERS, 0.8 %: this is nearly four of them. */
const MARGIN = 0.03;

/** Two independent hashes; nobody outside can say what they are used for. */
const PLACE_KEY = { k0: 0x243f6a88, k1: 0x85a308d3 | 0 };
const RANK_KEY = { k0: 0x13198a2e, k1: 0x03707344 };

export class DistinctIds {
  readonly #ranks = new Uint8Array(REGISTERS);

  /** The id of `bytes` bytes at word `at`, zero-padded as in slots and entries. */
  add(words: Int32Array, at: number, bytes: number): void {
    const place = hashId(PLACE_KEY, words, at, bytes) >>> (32 - REGISTER_BITS);
    const rank = Math.clz32(hashId(RANK_KEY, words, at, bytes)) + 1;
    if (rank > this.#ranks[place]) this.#ranks[place] = rank;
  }

  /** How many different ones there were, rather too many than too few. */
  estimateAbove(): number {
    return Math.ceil(this.#estimate() * (1 + MARGIN));
  }

  #estimate(): number {
    let sum = 0;
    let zeros = 0;
    for (const rank of this.#ranks) {
      sum += 2 ** -rank;
      if (rank === 0) zeros++;
    }
    const raw = (ALPHA * REGISTERS * REGISTERS) / sum;
    return raw <= 2.5 * REGISTERS && zeros > 0 ? REGISTERS * Math.log(REGISTERS / zeros) : raw;
  }
}
