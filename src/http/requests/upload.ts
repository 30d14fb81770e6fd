/**
 * The body of a request as it arrives, decoded, of any length: read no faster than it is asked for.
 * What a slow, silent or malicious client can hold up is bounded here. Main thread.
 *
 * A body of any length has no time in which it must be there whole; instead it must keep coming. Each
 * kilobyte buys a second of patience, up to REQUEST_TIMEOUT of it, and time in which nobody asks for
 * more costs none.
 */
import type { IncomingMessage } from 'node:http';
import type { ByteSource } from '../../bulk/byte-source.ts';
import { BodyRefused } from '../../errors/body-refused.ts';
import { PROBLEMS, type ProblemCode } from '../../errors/problems.ts';
import { timedBy } from '../connection/http2-request.ts';
import { ContentDecoder } from './content-decoder.ts';

/** The slowest that a client may send on average. */
const BYTES_PER_SECOND_MIN = 1024;

/** How far a body may expand beyond the first `plainBytes` of it; events expand 5 to 30 times. */
const EXPANSION_MAX = 100;

/**
 * What each frame beyond the first thousand counts for, whatever is in it: a decoder takes about as
 * long to make as that to decode. So a flood of empty frames expands, too; one event has enough to go on.
 */
const FRAME_BYTES = 2048;
const FRAMES_FREE = 1000;

const TOO_SLOW = 'The body came slowly, and another client was given its place.';
const RETRY_AFTER_SECONDS = 1;

export interface UploadOptions {
  /** `identity` or another coding that `isKnownCoding`. */
  readonly coding: string;
  /** How long it may stand still. */
  readonly patienceMs: number;
  /** As much may come out of a compressed body however short it is. */
  readonly plainBytes: number;
  /** Has the request (its socket, unless it shares that) while it must not be timed as a whole. */
  readonly untimed: WeakSet<object>;
}

export class Upload implements ByteSource {
  readonly #request: IncomingMessage;
  readonly #options: UploadOptions;
  readonly #decoder: ContentDecoder | undefined;
  readonly #wake = () => this.#onMove?.();
  #onMove: (() => void) | undefined;
  #failure: BodyRefused | undefined;
  #isEnded = false;
  #patienceMs: number;
  /** Since when (monotonic ms) it waits for the client, and for how long it did before. */
  #waitingSinceMs: number | undefined;
  #waitedMs = 0;
  #wireBytes = 0;
  #decodedBytes = 0;

  constructor(request: IncomingMessage, options: UploadOptions) {
    this.#request = request;
    this.#options = options;
    this.#patienceMs = options.patienceMs;
    options.untimed.add(timedBy(request));
    request.on('error', () => this.#fail('bad-request', 'The body ended before it was complete.'));
    if (options.coding !== 'identity') {
      this.#decoder = new ContentDecoder(request, options.coding, this.#wake);
      return;
    }
    request.on('readable', this.#wake).once('end', () => {
      this.#isEnded = true;
      this.#wake();
    });
  }

  async next(): Promise<Uint8Array | undefined> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure;
      const chunk =
        this.#decoder === undefined ? this.#readPlain() : this.#readCoded(this.#decoder);
      if (chunk !== null) return chunk;
      if (this.#isEnded) return undefined;
      await this.#moved();
    }
  }

  /** Whether the client has nothing ready just now, or owes for what it has sent. */
  get isWaiting(): boolean {
    return this.#waitingSinceMs !== undefined;
  }

  /** How long that was so all in all, in ms. */
  get waitedMs(): number {
    const sinceMs = this.#waitingSinceMs;
    return this.#waitedMs + (sinceMs === undefined ? 0 : performance.now() - sinceMs);
  }

  /** Bytes that came, as they came. */
  get wireBytes(): number {
    return this.#wireBytes;
  }

  /** Lets up to `ms` pass, which the client owes; resolves to whether more will be read. */
  async pause(ms: number): Promise<boolean> {
    if (this.#failure === undefined) await this.#wait(ms, this.#wake);
    return this.#failure === undefined;
  }

  /** No more is read: who waits for bytes gets `queue-full`, because another client has the place. */
  giveUpPlace(): void {
    this.#failure ??= new BodyRefused('queue-full', TOO_SLOW, RETRY_AFTER_SECONDS);
    this.#wake();
  }

  /** No more is read: who waits for bytes gets `stopping`. */
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
    this.#onMove = undefined;
    request.off('readable', this.#wake);
    this.#decoder?.destroy();
    if (request.complete || request.destroyed) {
      untimed.delete(timedBy(request));
      request.resume();
      return;
    }
    const cutOff = setTimeout(() => request.destroy(), patienceMs);
    const timed = timedBy(request);
    const end = () => {
      clearTimeout(cutOff);
      untimed.delete(timed);
      request.off('close', end);
      timed.off('close', end);
    };
    // Once it is answered, Node no longer tells a request of HTTP/1.1 that its connection is gone.
    request.once('close', end);
    timed.once('close', end);
    // Node notes on the next tick that nobody listens to `readable` any more.
    setImmediate(() => request.resume());
  }

  /** Resolves when something has changed, or patience is at its end. */
  async #moved(): Promise<void> {
    const sinceMs = performance.now();
    await this.#wait(this.#patienceMs, () =>
      this.#fail('request-timeout', 'The body did not go on within the time allowed.'),
    );
    this.#patienceMs -= performance.now() - sinceMs;
  }

  /** Resolves when something has changed; calls `onTimeout`, which changes something, after `ms`. */
  #wait(ms: number, onTimeout: () => void): Promise<void> {
    return new Promise((resolve) => {
      const sinceMs = performance.now();
      this.#waitingSinceMs = sinceMs;
      const timer = setTimeout(onTimeout, ms);
      this.#onMove = () => {
        this.#onMove = undefined;
        clearTimeout(timer);
        this.#waitingSinceMs = undefined;
        this.#waitedMs += performance.now() - sinceMs;
        resolve();
      };
    });
  }

  #readPlain(): Buffer | null {
    const chunk: Buffer | null = this.#request.read();
    if (chunk !== null) this.#arrived(this.#wireBytes + chunk.length);
    return chunk;
  }

  #readCoded(decoder: ContentDecoder): Buffer | null {
    const chunk = decoder.read();
    this.#isEnded = decoder.isEnded;
    this.#decodedBytes += chunk?.length ?? 0;
    this.#arrived(decoder.wireBytes);
    const forFrames = Math.max(0, decoder.frames - FRAMES_FREE) * FRAME_BYTES;
    const bytesMax = this.#options.plainBytes + this.#wireBytes * EXPANSION_MAX;
    if (this.#decodedBytes + forFrames > bytesMax) {
      throw new BodyRefused(
        'body-too-large',
        `The body expands to more than ${EXPANSION_MAX} times its length.`,
      );
    }
    return chunk;
  }

  /** So much of the body is there by now, whether it says something or not. */
  #arrived(wireBytes: number): void {
    const boughtMs = ((wireBytes - this.#wireBytes) / BYTES_PER_SECOND_MIN) * 1000;
    this.#patienceMs = Math.min(this.#options.patienceMs, this.#patienceMs + boughtMs);
    this.#wireBytes = wireBytes;
  }

  #fail(code: ProblemCode, detail: string): void {
    this.#failure ??= new BodyRefused(code, detail);
    this.#wake();
  }
}
