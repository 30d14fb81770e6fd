/**
 * The uploads that have a place among BATCH_CONCURRENCY, and which of them gives its place up when another
 * client asks for one. Main thread.
 *
 * A slow client would hold a place for as long as it sends a kilobyte a second, and as many as there are
 * places would keep everybody else out. So a place may be taken from an upload that waits for its client just
 * now and has, all in all, waited for it a second longer than for one that sends 64 KB/s; of several, from
 * the slowest. While places are free nobody is asked to hurry, and a client that has bytes ready keeps its own.
 */
import type { Upload } from './upload.ts';

/** What a client must send when others wait for its place. */
const BYTES_PER_MS_MIN = 64;

const LATE_MS_MIN = 1000;

interface Place {
  /** Resolves when the place is free. */
  readonly freed: Promise<void>;
}

export class Uploads {
  readonly #places = new Map<Upload, Place>();

  /** Notes that `upload` has a place until `freed` resolves, which it must. */
  add(upload: Upload, freed: Promise<void>): void {
    this.#places.set(upload, { freed });
    void freed.then(() => this.#places.delete(upload));
  }

  /** Takes a place from the slowest; resolves when it is free, or is `undefined` if all keep theirs. */
  makeRoom(): Promise<void> | undefined {
    let slowest: Upload | undefined;
    let latest = LATE_MS_MIN;
    for (const upload of this.#places.keys()) {
      const lateMs = upload.isWaiting
        ? upload.waitedMs - upload.wireBytes / BYTES_PER_MS_MIN
        : Number.NEGATIVE_INFINITY;
      if (lateMs < latest) continue;
      slowest = upload;
      latest = lateMs;
    }
    if (slowest === undefined) return undefined;
    const place = this.#places.get(slowest);
    // It is asked once.
    this.#places.delete(slowest);
    slowest.giveUpPlace();
    return place?.freed;
  }
}
