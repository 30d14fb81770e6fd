/**
 * Cuts off who doesn't take its answers. Main thread; owns a record of each connection that has bytes
 * waiting for its client, and looks at all of them now and then: the hot path knows nothing of it.
 *
 * A long answer has no time in which it must be taken whole; instead it must keep going. Each kilobyte taken
 * buys a second of patience, up to ANSWER_TIMEOUT of it, and time in which nothing waits for the client
 * costs none: what upload.ts asks of those who send. Node's own time-out is no help here: it begins anew
 * with each byte, and counts twice when none is taken.
 *
 * Taken means by the kernel, whose buffers (some megabytes a connection) fill first. Who follows the
 * changes is watched otherwise (follower.ts), and has no socket time-out; it is passed over here.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { connectionEvent } from './connection-event.ts';

/** The slowest that a client may take an answer, on average. */
const BYTES_PER_SECOND_MIN = 1024;

const LOOK_MS_MAX = 1000;

interface Waiting {
  /** Bytes of whole writes that the kernel has taken, and those of the present one that it has not. */
  taken: number;
  queued: number;
  /** What of the present write is paid for already. */
  paidAhead: number;
  patienceMs: number;
}

/** As much as Node itself looks at when a socket has timed out. */
interface KernelSocket {
  readonly _handle?: { readonly writeQueueSize?: number } | null;
}

export class SlowReaders {
  readonly #patienceMs: number;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Map<Socket, Waiting>();
  #lookedAtMs = performance.now();

  /** Watches `server` from now on, until it is closed; make it before the server listens. */
  constructor(server: Server, patienceMs: number) {
    this.#patienceMs = patienceMs;
    server.on(connectionEvent(server), (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once('close', () => {
        this.#sockets.delete(socket);
        this.#waiting.delete(socket);
      });
    });
    const everyMs = Math.max(10, Math.min(LOOK_MS_MAX, patienceMs / 4));
    const looking = setInterval(() => this.#look(), everyMs).unref();
    server.once('close', () => clearInterval(looking));
  }

  #look(): void {
    const nowMs = performance.now();
    const passedMs = nowMs - this.#lookedAtMs;
    this.#lookedAtMs = nowMs;
    for (const socket of this.#sockets) {
      if (socket.writableLength === 0 || socket.timeout === 0) this.#waiting.delete(socket);
      else this.#lookAt(socket, passedMs);
    }
  }

  #lookAt(socket: Socket, passedMs: number): void {
    // A write counts as taken when it is whole; before that the kernel's queue shrinks.
    const taken = (socket.bytesWritten ?? 0) - socket.writableLength;
    const queued = (socket as KernelSocket)._handle?.writeQueueSize ?? 0;
    const before = this.#waiting.get(socket);
    if (before === undefined) {
      const patienceMs = this.#patienceMs;
      this.#waiting.set(socket, { taken, queued, paidAhead: 0, patienceMs });
      return;
    }
    let moved = Math.max(0, before.queued - queued);
    if (taken === before.taken) before.paidAhead += moved;
    else {
      moved = Math.max(0, taken - before.taken - before.paidAhead);
      before.paidAhead = 0;
    }
    before.taken = taken;
    before.queued = queued;
    before.patienceMs = Math.min(this.#patienceMs, before.patienceMs - passedMs + msFor(moved));
    if (before.patienceMs <= 0) cutOff(socket);
  }
}

/** The same for an answer of HTTP/2, whose connection may go on. */
export class Patience {
  readonly #mostMs: number;
  #leftMs: number;
  #takenBytes: number;

  constructor(mostMs: number, takenBytes: number) {
    this.#mostMs = mostMs;
    this.#leftMs = mostMs;
    this.#takenBytes = takenBytes;
  }

  /**
   * Whether it is over, `passedMs` after the last look: `takenBytes` were taken all in all, and of
   * `pieceBytes` more it is not known.
   */
  isOver(takenBytes: number, pieceBytes: number, passedMs: number): boolean {
    const boughtMs = msFor(takenBytes - this.#takenBytes);
    this.#takenBytes = takenBytes;
    this.#leftMs = Math.min(this.#mostMs, this.#leftMs - passedMs + boughtMs);
    return this.#leftMs + msFor(pieceBytes) <= 0;
  }
}

function msFor(bytes: number): number {
  return (bytes / BYTES_PER_SECOND_MIN) * 1000;
}

/**
 * A plain close would leave what the kernel holds for the client to be sent, for as long as that takes a sip
 * now and then: megabytes a connection. A reset frees them at once.
 */
function cutOff(socket: Socket): void {
  // Under TLS the handle is not TCP's own.
  if ('encrypted' in socket) socket.destroy();
  else socket.resetAndDestroy();
}
