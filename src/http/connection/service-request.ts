/**
 * The request as this service reads it: a short body that came whole is handed over as it is, past the
 * stream that Node makes of each request. Main thread; the hot path.
 *
 *   parser ──push(bytes), push(null)──▶ taken by a BodyTaker: no stream, no event, no tick
 *                                   └─▶ whatever is not: the stream, as Node has it
 *
 * Node's parser pushes what it reads of a body into its request, and `null` behind it. Here both are held
 * until the body is whole. Where its taker does not want it, or it comes in pieces, all of it goes into the
 * stream and whoever reads that sees no difference. A stream costs a request with a body 2 to 3 µs (its
 * listeners, and five turns of the queue of ticks), and one without half of it.
 */
import type { Buffer } from 'node:buffer';
import { IncomingMessage } from './node-http.ts';

/** Who wants a body whole. Each method is called once at the most, and one of the last two. */
export interface BodyTaker {
  /** Whether it wants this body; it must not keep `body`. */
  reads(body: Buffer): boolean;
  /** It wanted it: the body is gone. */
  taken(): void;
  /** It did not, or the body came in pieces: it is in the stream. */
  left(): void;
}

/** What Node's own class has beside what its types say, of which `optimizeEmptyRequests` is made. */
interface ClosableRequest {
  /** Makes its stream one that has ended and was closed. */
  _dumpAndCloseReadable?(): void;
}

export class ServiceRequest extends IncomingMessage {
  /** Who wants the body, as long as none of it is in the stream. */
  taker: BodyTaker | undefined = undefined;
  /** Its length as the headers say it. */
  bodyBytes = 0;
  /** The whole body, of which the end has not come yet. */
  body: Buffer | undefined = undefined;

  /**
   * Offers the body, of `bytes` > 0 by its Content-Length, to `taker`. False, and nothing more, where some
   * of it is in the stream by now.
   */
  offerWhole(bytes: number, taker: BodyTaker): boolean {
    if (this.complete || this.readableLength > 0) return false;
    this.bodyBytes = bytes;
    this.taker = taker;
    return true;
  }

  /**
   * Ends the stream of a request that has no body, so that Node needs not end it in events. Not for methods
   * that mean something by an empty body: whoever reads it would wait for its end.
   */
  closeWithoutBody(): void {
    const { method, headers } = this;
    if (method !== 'GET' && method !== 'HEAD') return;
    if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) {
      this.#closeStream();
    }
  }

  /** Node's parser calls it, with bytes or `null`. */
  override push(chunk: Buffer | null, encoding?: BufferEncoding): boolean {
    const { taker } = this;
    if (taker === undefined) return super.push(chunk, encoding);
    const { body } = this;
    if (chunk !== null && body === undefined && chunk.length === this.bodyBytes) {
      this.body = chunk;
      return true;
    }
    this.taker = undefined;
    this.body = undefined;
    if (chunk === null && body !== undefined && taker.reads(body)) {
      this.#closeStream();
      taker.taken();
      return false;
    }
    if (body !== undefined) super.push(body);
    const isRoom = super.push(chunk, encoding);
    taker.left();
    return isRoom;
  }

  /** Where this Node has no way to, the stream ends as any other. */
  #closeStream(): void {
    const { _dumpAndCloseReadable: close } = this as ClosableRequest;
    if (close !== undefined) close.call(this);
    else super.push(null);
  }
}
