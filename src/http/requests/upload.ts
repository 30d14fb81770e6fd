/**
 * The body of a request as it arrives, decoded, of any length: read no faster than it is asked for.
 * What a slow, silent or deceitful client can hold up is bounded here. Main thread.
 *
 * A body of any length has no time in which it must be there whole; instead it must keep coming. Each
 * kilobyte buys a second of patience, up to REQUEST_TIMEOUT of it, and time in which nobody asks for
 * more costs none.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Readable, Transform } from 'node:stream';
import { constants, createBrotliDecompress, createGunzip, createZstdDecompress } from 'node:zlib';
import type { ByteSource } from '../../bulk/byte-source.ts';
import { BodyRefused } from '../../errors/body-refused.ts';
import { PROBLEMS, type ProblemCode } from '../../errors/problems.ts';

/** The slowest that a client may send on average. */
const BYTES_PER_SECOND_MIN = 1024;

/** How far a body may expand beyond the first `plainBytes` of it; events expand 5 to 30 times. */
const EXPANSION_MAX = 100;

/** A window of 8 MB, as RFC 8878 asks of every decoder; larger ones are for agreed uses. */
const ZSTD_WINDOW_LOG_MAX = 23;

type Decoder = Transform & { readonly bytesWritten: number };

const CODINGS: ReadonlyMap<string, () => Decoder> = new Map([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['br', createBrotliDecompress],
  [
    'zstd',
    () =>
      createZstdDecompress({ params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } }),
  ],
]);

/** Whether bodies of this content coding are taken. */
export function isKnownCoding(coding: string): boolean {
  return coding === 'identity' || CODINGS.has(coding);
}

export interface UploadOptions {
  /** `identity` or another coding that `isKnownCoding`. */
  readonly coding: string;
  /** How long it may stand still. */
  readonly patienceMs: number;
  /** As much may come out of a compressed body however short it is. */
  readonly plainBytes: number;
  /** Told of the socket while its request must not be timed as a whole; see protocol-errors.ts. */
  readonly untimed: WeakSet<Socket>;
}

export class Upload implements ByteSource {
  readonly #request: IncomingMessage;
  readonly #options: UploadOptions;
  readonly #decoder: Decoder | undefined;
  readonly #source: Readable;
  readonly #wake = () => this.#onMove?.();
  #onMove: (() => void) | undefined;
  #failure: BodyRefused | undefined;
  #isEnded = false;
  #patienceMs: number;
  #wireBytes = 0;
  #decodedBytes = 0;

  constructor(request: IncomingMessage, options: UploadOptions) {
    this.#request = request;
    this.#options = options;
    this.#patienceMs = options.patienceMs;
    this.#decoder = CODINGS.get(options.coding)?.();
    this.#source = this.#decoder === undefined ? request : request.pipe(this.#decoder);
    options.untimed.add(request.socket);
    request.on('error', () => this.#fail('bad-request', 'The body ended before it was complete.'));
    this.#decoder?.on('error', () =>
      this.#fail('invalid-encoding', `The body is not valid ${options.coding}.`),
    );
    this.#source.on('readable', this.#wake).once('end', () => {
      this.#isEnded = true;
      this.#wake();
    });
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk: Buffer | null = this.#source.read();
      if (chunk !== null) return this.#counted(chunk);
      if (this.#isEnded) return undefined;
      await this.#moved();
    }
  }

  /** No more is read: whoever waits for bytes is told that the service stops. */
  interrupt(): void {
    this.#fail('stopping', PROBLEMS.stopping.detail);
  }

  /**
   * Nobody asks any more: reads away what is left of the body, so that the answer can arrive and the
   * connection go on, but for no longer than the patience lasts.
   */
  release(): void {
    const { untimed, patienceMs } = this.#options;
    const request = this.#request;
    const { socket } = request;
    this.#onMove = undefined;
    this.#source.off('readable', this.#wake);
    if (this.#decoder !== undefined) {
      request.unpipe(this.#decoder);
      this.#decoder.destroy();
    }
    if (request.complete || request.destroyed) {
      untimed.delete(socket);
      request.resume();
      return;
    }
    const cutOff = setTimeout(() => socket.destroy(), patienceMs);
    request.once('close', () => {
      clearTimeout(cutOff);
      untimed.delete(socket);
    });
    // Node notes on the next tick that nobody listens to `readable` any more.
    setImmediate(() => request.resume());
  }

  /** Resolves when something has changed, or patience is at its end. */
  #moved(): Promise<void> {
    return new Promise((resolve) => {
      const sinceMs = performance.now();
      const timer = setTimeout(
        () => this.#fail('request-timeout', 'The body did not go on within the time allowed.'),
        this.#patienceMs,
      );
      this.#onMove = () => {
        this.#onMove = undefined;
        clearTimeout(timer);
        this.#patienceMs -= performance.now() - sinceMs;
        resolve();
      };
    });
  }

  #counted(chunk: Buffer): Buffer {
    const wireBytes = this.#decoder?.bytesWritten ?? this.#wireBytes + chunk.length;
    const boughtMs = ((wireBytes - this.#wireBytes) / BYTES_PER_SECOND_MIN) * 1000;
    this.#patienceMs = Math.min(this.#options.patienceMs, this.#patienceMs + boughtMs);
    this.#wireBytes = wireBytes;
    this.#decodedBytes += chunk.length;
    const decodedMax = this.#options.plainBytes + wireBytes * EXPANSION_MAX;
    if (this.#decoder !== undefined && this.#decodedBytes > decodedMax) {
      throw new BodyRefused(
        'body-too-large',
        `The body expands to more than ${EXPANSION_MAX} times its length.`,
      );
    }
    return chunk;
  }

  #fail(code: ProblemCode, detail: string): void {
    this.#failure ??= new BodyRefused(code, detail);
    this.#wake();
  }
}
