/**
 * The places of BATCH_CONCURRENCY on all threads that serve HTTP: a batch that finds none gets that of the slowest
 * upload, whichever thread has it. Main thread, which asks all of them; which upload is slow, and when it is too slow
 * to keep its place, is http/requests/uploads.ts's.
 *
 *   1. Two ask at the same moment: one after the other, so that the second is not given the same place. If the first
 *      finds that all keep theirs, the second, which came meanwhile, is told the same.
 *   2. The place is free, and a third one comes before the one who asked: that one finds none, and asks again.
 *   3. A thread hangs: what it has is not taken after ANSWER_MS_MAX. Or it dies: its places come back by themselves
 *      (docs/producers.md), and who waited for one of them is told to come again.
 */
import { within } from '../deadline.ts';
import type { Uploads } from '../http/requests/uploads.ts';
import type { UploadPlaces } from '../http/seams/upload-places.ts';

/** How long a thread may take to say how slow its uploads are. */
const ANSWER_MS_MAX = 500;

/** Those of another thread. Either rejects if it ends. */
export interface RemoteUploads {
  latestMs(): Promise<number | undefined>;
  takePlace(): Promise<boolean>;
}

interface Candidate {
  readonly lateMs: number;
  readonly take: () => Promise<boolean>;
}

export class UploadRoom implements UploadPlaces {
  readonly #own: Pick<Uploads, 'latestMs' | 'makeRoom'>;
  readonly #others: () => readonly RemoteUploads[];
  /** Whoever is being looked for just now, if all don't keep theirs. */
  #looking: Promise<Candidate | undefined> | undefined;

  constructor(own: Pick<Uploads, 'latestMs' | 'makeRoom'>, others: () => readonly RemoteUploads[]) {
    this.#own = own;
    this.#others = others;
  }

  async makeRoom(): Promise<boolean> {
    while (this.#looking !== undefined) {
      if ((await this.#looking) === undefined) return false;
    }
    this.#looking = this.#slowest();
    const slowest = await this.#looking;
    // Asked at once, so that whoever looks next does not see it.
    const taken = slowest?.take() ?? false;
    this.#looking = undefined;
    return taken;
  }

  async #slowest(): Promise<Candidate | undefined> {
    const others = this.#others().map(async (uploads): Promise<Candidate | undefined> => {
      const lateMs = await within(ANSWER_MS_MAX, uploads.latestMs()).catch(() => undefined);
      const take = () => uploads.takePlace().catch(() => false);
      return typeof lateMs === 'number' ? { lateMs, take } : undefined;
    });
    let slowest: Candidate | undefined;
    const { latestMs } = this.#own;
    if (latestMs !== undefined) {
      slowest = { lateMs: latestMs, take: async () => (await this.#own.makeRoom()) ?? false };
    }
    for (const other of await Promise.all(others)) {
      if (other !== undefined && other.lateMs > (slowest?.lateMs ?? 0)) slowest = other;
    }
    return slowest;
  }
}
