/**
 * Keeps V8's young generation from growing with the length of an import. What an import makes is short-lived
 * (some 10 MB of text a block; 13 MB stay), and for that V8 lets the young generation double again and again, up to
 * 2 × 64 MB: 284 MB of memory for 1 GB of input instead of 187, and nothing gained (20 s either way). At 2 × 1 MB,
 * where it begins, an import takes 14 % longer. So it may grow to 2 × 8 MB. Main thread; the whole process.
 *
 * `--max-semi-space-size` says the same, but only on Node's command line; the factor of growth is read each time.
 */
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** Both halves of it. */
const YOUNG_BYTES = 16 << 20;
const DOUBLES = 2;
const STAYS = 1;

export class YoungGeneration {
  #factor = DOUBLES;

  /** Looks whether it has grown enough; takes some 10 µs. It may grow again after V8 has made it smaller. */
  limit(): void {
    const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    const factor = (young?.space_size ?? 0) >= YOUNG_BYTES ? STAYS : DOUBLES;
    if (factor === this.#factor) return;
    this.#factor = factor;
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  }
}
