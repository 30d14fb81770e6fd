/**
 * The uploads of a thread that have a place among BATCH_CONCURRENCY, and which of them gives its place up when
 * another client asks for one. Any thread that serves HTTP.
 *
 * A slow client would hold a place for as long as it sends a kilobyte a second, and as many as there are
 * places would keep everybody else out. So a place may be taken from an upload that waits for its client just
 * now and has, all in all, waited for it a second longer than for one that sends 64 KB/s; of several, from
 * the slowest. While places are free nobody is asked to hurry, and a client that has bytes ready keeps its own.
 */
import type { UploadPlaces } from '../seams/upload-places.ts';
import type { Upload } from './upload.ts';

/** What a client must send when others wait for its place. */
const BYTES_PER_MS_MIN = 64;

const LATE_MS_MIN = 1000;

interface Place {
  /** Resolves when the place is free. */
  readonly freed: Promise<void>;
}

export class Uploads implements UploadPlaces {
  readonly #places = new Map<Upload, Place>();

  /** Notes that `upload` has a place until `freed` resolves, which it must. */
  add(upload: Upload, freed: Promise<void>): void {
    this.#places.set(upload, { freed });
    void freed.then(() => this.#places.delete(upload));
  }

  /** How late the slowest is whose place may be taken; `undefined` = all keep theirs. */
  get latestMs(): number | undefined {
    return this.#slowest()?.lateMs;
  }

  makeRoom(): Promise<boolean> | undefined {
    const upload = this.#slowest()?.upload;
    if (upload === undefined) return undefined;
    const place = this.#places.get(upload);
    // It is asked once.
    this.#places.delete(upload);
    upload.giveUpPlace();
    return place?.freed.then(() => true);
  }

  #slowest(): { readonly upload: Upload; readonly lateMs: number } | undefined {
    let slowest: { upload: Upload; lateMs: number } | undefined;
    for (const upload of this.#places.keys()) {
      if (!upload.isWaiting) continue;
      const lateMs = upload.waitedMs - upload.wireBytes / BYTES_PER_MS_MIN;
      if (lateMs >= (slowest?.lateMs ?? LATE_MS_MIN)) slowest = { upload, lateMs };
    }
    return slowest;
  }
}
