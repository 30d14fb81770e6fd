/**
 * Decodes a compressed body whole: every frame (zstd), stream (br) or member (gzip) that stands in
 * it, one behind the other, wherever the chunks end. Main thread; zlib works on libuv's threads.
 *
 * Node's decoders stop after the first frame without an error: what is written behind it they leave
 * alone, and whether they do depends on where the chunks end (nodejs/node 64741). Gunzip goes on with the
 * next member by itself, but not behind a NUL. So one write is under way at a time, and when it is done
 * it is compared with what was taken of it; what was left begins the next frame, in a decoder of its own.
 * What is left behind a gzip member is no member, and a fault: NULs may stand where a crash lost a member.
 *
 * A decoder costs some ten microseconds, and a frame may be a single byte long (br): `frames` is there
 * to be bounded. One write in a turn of the event loop is all that a body of empty frames gets.
 */
import type { Readable, Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import { BodyRefused } from '../../errors/body-refused.ts';

/** A window of 8 MB, as RFC 8878 asks of every decoder; larger ones are for agreed uses. */
const ZSTD_WINDOW_LOG_MAX = 23;

type ZlibStream = Transform & { readonly bytesWritten: number };

interface Coding {
  readonly name: string;
  /** What one compressed piece of a body is called. */
  readonly unit: string;
  /** Whether zlib goes over them by itself, so that nobody knows how many there are. */
  readonly isCounted: boolean;
  readonly create: () => ZlibStream;
}

const GZIP: Coding = { name: 'gzip', unit: 'member', isCounted: false, create: createGunzip };
const BROTLI: Coding = {
  name: 'br',
  unit: 'stream',
  isCounted: true,
  create: createBrotliDecompress,
};
const ZSTD: Coding = {
  name: 'zstd',
  unit: 'frame',
  isCounted: true,
  create: () =>
    createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } }),
};

const CODINGS: ReadonlyMap<string, Coding> = new Map([
  ['gzip', GZIP],
  ['x-gzip', GZIP],
  ['br', BROTLI],
  ['zstd', ZSTD],
]);

/** Whether bodies of this content coding are taken. */
export function isKnownCoding(coding: string): boolean {
  return coding === 'identity' || CODINGS.has(coding);
}

export class ContentDecoder {
  /** Decoders begun: as many as frames, or fewer. */
  frames = 0;
  /** All is decoded and read. */
  isEnded = false;
  readonly #coding: Coding;
  readonly #body: Readable;
  readonly #onMove: () => void;
  readonly #onReadable = () => this.#goOn();
  readonly #onBodyEnd = () => {
    this.#isBodyEnded = true;
    this.#goOn();
  };
  #isBodyEnded = false;
  /** Bytes of the frames before the present one. */
  #pastBytes = 0;
  /** Read from the body, not yet decoded. */
  #rest: Buffer | undefined;
  /** Decodes the present frame; none between two. */
  #stream: ZlibStream | undefined;
  #isBusy = false;
  /** The stream's frame is at its end; what it decoded may still be unread. */
  #isOver = false;
  #fault: BodyRefused | undefined;

  /** `onMove` is called when `read` may return something else. */
  constructor(body: Readable, coding: string, onMove: () => void) {
    const known = CODINGS.get(coding);
    if (known === undefined) throw new RangeError(`unknown coding ${coding}`);
    this.#coding = known;
    this.#body = body;
    this.#onMove = onMove;
    body.on('readable', this.#onReadable).once('end', this.#onBodyEnd);
  }

  /** Bytes of the body that zlib has taken. */
  get wireBytes(): number {
    return this.#pastBytes + (this.#stream?.bytesWritten ?? 0);
  }

  /** What is decoded by now, null = nothing; throws once all that could be decoded was read. */
  read(): Buffer | null {
    for (;;) {
      const chunk: Buffer | null = this.#stream?.read() ?? null;
      if (chunk !== null) return chunk;
      if (this.#fault !== undefined) throw this.#fault;
      if (!this.#isOver) return null;
      this.#next();
    }
  }

  /** No more is read. */
  destroy(): void {
    this.#body.off('readable', this.#onReadable).off('end', this.#onBodyEnd);
    this.#isBusy = true;
    this.#stream?.destroy();
    this.#stream = undefined;
  }

  /** Hands the next piece to zlib, if it waits for one. */
  #goOn(): void {
    if (this.#isBusy || this.#isOver || this.#fault !== undefined) return;
    this.#rest ??= this.#body.read() ?? undefined;
    if (this.#rest !== undefined) this.#decode(this.#rest);
    else if (this.#isBodyEnded) this.#finish();
  }

  #decode(piece: Buffer): void {
    const stream = this.#stream ?? this.#begin();
    const before = stream.bytesWritten;
    this.#isBusy = true;
    // Called when all that could be decoded of it was, and the reader has taken the most of that.
    stream.write(piece, (error) => {
      if (error || stream !== this.#stream) return; // an error comes as an event, too
      this.#isBusy = false;
      const taken = stream.bytesWritten - before;
      if (taken < piece.length) {
        this.#rest = piece.subarray(taken);
        this.#isOver = true;
      } else {
        this.#rest = undefined;
        this.#goOn();
      }
      this.#onMove();
    });
  }

  #begin(): ZlibStream {
    const stream = this.#coding.create();
    this.#stream = stream;
    this.frames++;
    stream
      .on('readable', this.#onMove)
      .on('error', (error) => this.#fail(this.#whyNot(error)))
      .once('end', () => {
        if (!this.#isBodyEnded || this.#rest !== undefined) return;
        this.isEnded = true;
        this.#onMove();
      });
    return stream;
  }

  /** The frame before was read to its end, and something stands behind it. */
  #next(): void {
    const { name, unit, isCounted } = this.#coding;
    if (!isCounted) {
      this.#fail(`Behind a ${name} ${unit} of the body stands something that is no ${unit}.`);
      return;
    }
    this.#pastBytes = this.wireBytes;
    this.#stream?.destroy();
    this.#stream = undefined;
    this.#isOver = false;
    this.#goOn();
  }

  /** The body is at its end; whether its last frame is, too, zlib knows. */
  #finish(): void {
    this.#isBusy = true;
    if (this.#stream !== undefined) {
      this.#stream.end();
      return;
    }
    this.isEnded = true;
    this.#onMove();
  }

  #whyNot(error: Error): string {
    const { name, unit, isCounted } = this.#coding;
    // Of zstd a decoder may have gone on with the next frame by itself, where a chunk ended between two.
    const which = isCounted && name !== ZSTD.name ? `${unit} ${this.frames}` : `a ${unit}`;
    switch ('code' in error ? error.code : undefined) {
      case 'Z_BUF_ERROR':
        return `The body ends in the middle of ${which} of its ${name}.`;
      case 'ZSTD_error_frameParameter_windowTooLarge':
        return `The window of ${which} of the body's ${name} is larger than ${2 ** (ZSTD_WINDOW_LOG_MAX - 20)} MB.`;
      default:
        return `The body is not valid ${name}: ${which} of it can't be decoded.`;
    }
  }

  #fail(detail: string): void {
    this.#fault ??= new BodyRefused('invalid-encoding', detail);
    this.#onMove();
  }
}
