/**
 * The codings of long answers, and how many are compressed at a time. Main thread; the work itself is
 * done by libuv's thread pool, which fs shares, in pieces of at most 16 KB of output.
 *
 * Each compressor holds memory (zstd 2 MB, br 0.7, gzip 0.3) and now and then one of the pool's four
 * threads, for as long as its client takes. So their number is bounded, for the whole process as the
 * pool is; beyond it answers are plain, which every client takes. Levels are fast ones: on lines of an export
 * zstd 3 does about 240 MB/s of CPU (0.21 of the size), br 2 and gzip 1 about 140 (0.24, 0.25).
 */
import type { Transform } from 'node:stream';
import {
  brotliCompress,
  constants,
  createBrotliCompress,
  createGzip,
  createZstdCompress,
  gzip,
  zstdCompress,
} from 'node:zlib';
import { preferredCoding } from '../requests/accept.ts';

export type Coding = 'zstd' | 'br' | 'gzip';

/** The first is preferred where a client takes several alike. */
const CODINGS: readonly Coding[] = ['zstd', 'br', 'gzip'];

export const COMPRESSORS_MAX = 16;

const ZSTD = {
  params: {
    [constants.ZSTD_c_compressionLevel]: 3,
    [constants.ZSTD_c_windowLog]: 19,
  },
};
const BROTLI = {
  params: {
    [constants.BROTLI_PARAM_QUALITY]: 2,
    [constants.BROTLI_PARAM_LGWIN]: 18,
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
  },
};
const GZIP = { level: 1 };

export class Compressors {
  readonly #max: number;
  #open = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** How many are at work. */
  get open(): number {
    return this.#open;
  }

  /** The coding for a client that sends `acceptEncoding`; `undefined`: plain, for want or room. */
  codingFor(acceptEncoding: string | undefined): Coding | undefined {
    return this.#open < this.#max ? preferredCoding(acceptEncoding, CODINGS) : undefined;
  }

  /** A compressor of a stream; it counts until it is closed, which its user must see to. */
  stream(coding: Coding): Transform {
    const compressor = createCompressor(coding);
    this.#open++;
    compressor.once('close', () => this.#open--);
    return compressor;
  }

  /** `bytes` compressed. Rejects if there is no memory for it. */
  async whole(coding: Coding, bytes: Buffer): Promise<Buffer> {
    this.#open++;
    try {
      return await new Promise((resolve, reject) => {
        const done = (error: Error | null, result: Buffer) =>
          error === null ? resolve(result) : reject(error);
        if (coding === 'zstd') zstdCompress(bytes, ZSTD, done);
        else if (coding === 'br') brotliCompress(bytes, BROTLI, done);
        else gzip(bytes, GZIP, done);
      });
    } finally {
      this.#open--;
    }
  }
}

function createCompressor(coding: Coding): Transform {
  if (coding === 'zstd') return createZstdCompress(ZSTD);
  return coding === 'br' ? createBrotliCompress(BROTLI) : createGzip(GZIP);
}

/** Those of this process. */
export const compressors = new Compressors(COMPRESSORS_MAX);
