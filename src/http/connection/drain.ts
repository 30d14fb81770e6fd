/**
 * Letting go of connections without resetting one. Owns the record of each open connection of one
 * HTTP server. Main thread.
 *
 * Why not `http.Server.close()`: it destroys connections that look idle, and one whose next request
 * lies in the kernel's buffer looks idle. Why not plain `connection: close`: Node then closes both
 * directions at once, and whatever a pipelining client had sent by then turns that into a reset,
 * which throws away the answers still on their way. So a connection says goodbye on its newest
 * answer, closes its sending half only, and reads on until the client has closed its own.
 *
 * Closing the listening socket resets the connections that wait to be accepted, and a client that
 * reads a goodbye connects anew within microseconds. So no connection says goodbye before listening has
 * stopped, and that is done after a turn in which no connection came.
 */
import type { IncomingMessage, RequestListener, Server, ServerResponse } from 'node:http';
import { Server as NetServer, Socket } from 'node:net';
import { connectionEvent } from './connection-event.ts';
import { http2SessionsOf } from './server.ts';

const NEWEST = Symbol('newest response');

interface TrackedSocket extends Socket {
  /** The response to the newest request, until the drain takes over. */
  [NEWEST]?: ServerResponse;
}

interface Connection {
  /** The response to the newest request, from the drain on; earlier ones finish before it does. */
  newest: ServerResponse | undefined;
  /** `newest` says `connection: close`; once its headers are out, no later request is answered. */
  saysClose: boolean;
  /** Bytes read and written at the last look, and since when (monotonic ms) they stand still. */
  bytesMoved: number;
  quietSinceMs: number;
}

export interface DrainOptions {
  /** A connection with nothing in flight and no byte moved for this long is closed. */
  readonly idleMs?: number;
  /** After this long the promise resolves, whatever is left. */
  readonly timeoutMs: number;
}

const IDLE_MS_DEFAULT = 500;

/** How long a turn without a new connection is waited for. */
const QUIET_MS_MAX = 50;

export class ConnectionDrain {
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  readonly #track = ({ socket }: IncomingMessage, response: ServerResponse): void => {
    // On the socket, because a look into the map costs more with every request.
    (socket as TrackedSocket)[NEWEST] = response;
  };
  /** Connections accepted so far. */
  #accepted = 0;
  #stopped: Promise<void> | undefined;
  #draining: Promise<void> | undefined;
  #onEmpty: (() => void) | undefined;

  /** Watches `server` from now on; make it before the server listens. */
  constructor(server: Server) {
    this.#server = server;
    server.on(connectionEvent(server), (socket: Socket) => this.#add(socket));
    server.prependListener('request', this.#track);
  }

  get openCount(): number {
    return this.#connections.size;
  }

  /**
   * Stops listening, once the connections that the kernel has completed are accepted. Requests go on
   * being served. Resolves when it listens no more, some turns later. Calls after the first change
   * nothing.
   */
  stopListening(): Promise<void> {
    this.#stopped ??= new Promise((resolve) => {
      this.#stopListening(performance.now() + QUIET_MS_MAX, resolve);
    });
    return this.#stopped;
  }

  /**
   * Stops listening, and from then on lets each connection end with its newest answer, which says
   * `connection: close`. Requests go on being served. Resolves when that has begun. Calls after the
   * first change nothing.
   *
   * Where other servers listen on the same port, all of them stop listening first: who reads a goodbye
   * would connect to one that is about to stop.
   */
  beginDrain(): Promise<void> {
    this.#draining ??= this.stopListening().then(() => this.#beginGoodbyes());
    return this.#draining;
  }

  /**
   * Resolves with `closed` when no connection is left (idle ones are closed on the way) or with
   * `timed-out` after `timeoutMs`; what is left then is the caller's to destroy. Call after
   * `beginDrain`, once.
   */
  drained({ idleMs = IDLE_MS_DEFAULT, timeoutMs }: DrainOptions): Promise<'closed' | 'timed-out'> {
    return new Promise((resolve) => {
      const startMs = performance.now();
      for (const connection of this.#connections.values()) connection.quietSinceMs = startMs;
      const look = setInterval(() => this.#closeIdle(idleMs), Math.max(1, idleMs / 10));
      const finish = (result: 'closed' | 'timed-out'): void => {
        clearInterval(look);
        clearTimeout(timeout);
        this.#onEmpty = undefined;
        resolve(result);
      };
      const timeout = setTimeout(() => finish('timed-out'), timeoutMs);
      this.#onEmpty = () => {
        if (!this.#server.listening) finish('closed');
      };
      if (this.#connections.size === 0) this.#onEmpty();
    });
  }

  #add(socket: Socket): void {
    this.#connections.set(socket, {
      newest: undefined,
      saysClose: false,
      bytesMoved: 0,
      quietSinceMs: performance.now(),
    });
    this.#accepted++;
    socket.once('close', () => {
      this.#connections.delete(socket);
      if (this.#connections.size === 0) this.#onEmpty?.();
    });
  }

  /** Stops listening after a poll phase that brought no connection. */
  #stopListening(deadlineMs: number, onStopped: () => void): void {
    const before = this.#accepted;
    afterNextPoll(() => {
      if (this.#accepted !== before && performance.now() < deadlineMs) {
        this.#stopListening(deadlineMs, onStopped);
        return;
      }
      if (this.#server.listening) NetServer.prototype.close.call(this.#server);
      onStopped();
    });
  }

  #beginGoodbyes(): void {
    this.#takeOverRequests();
    http2SessionsOf(this.#server)?.close();
    for (const [socket, connection] of this.#connections) {
      if (isHttp2(socket)) continue;
      connection.newest = (socket as TrackedSocket)[NEWEST];
      this.#closeHalfway(socket);
      sayClose(connection);
    }
    if (this.#connections.size === 0) this.#onEmpty?.();
  }

  /** From now on the newest answer of a connection says close, and what comes after is skipped. */
  #takeOverRequests(): void {
    this.#server.off('request', this.#track);
    const listeners = this.#server.listeners('request') as RequestListener[];
    this.#server.removeAllListeners('request');
    this.#server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const connection = this.#connections.get(request.socket);
      if (connection !== undefined) {
        if (connection.saysClose && connection.newest?.headersSent) return;
        takeBackClose(connection);
        connection.newest = response;
        sayClose(connection);
      }
      for (const listener of listeners) listener.call(this.#server, request, response);
    });
  }

  /** Node calls destroySoon once an answer with `connection: close` is out. */
  #closeHalfway(socket: Socket): void {
    socket.destroySoon = () => void socket.end();
  }

  #closeIdle(idleMs: number): void {
    const nowMs = performance.now();
    const idle: Socket[] = [];
    for (const [socket, connection] of this.#connections) {
      if (isHttp2(socket)) continue;
      if (noteMoves(socket, connection) || isAnswering(connection)) connection.quietSinceMs = nowMs;
      else if (nowMs - connection.quietSinceMs >= idleMs) idle.push(socket);
    }
    if (idle.length === 0) return;
    // If the loop was held up, requests may wait in the kernel: let it read before they count as idle.
    afterNextPoll(() => {
      for (const socket of idle) {
        const connection = this.#connections.get(socket);
        if (connection !== undefined && !noteMoves(socket, connection)) {
          Socket.prototype.destroySoon.call(socket);
        }
      }
    });
  }
}

/** Runs `step` once the loop has taken in all that the kernel holds now: one whole poll phase. */
function afterNextPoll(step: () => void): void {
  setImmediate(() => setImmediate(step));
}

/** Its session says goodbye and ends when all is answered (http2-sessions.ts); here it counts as open. */
function isHttp2(socket: Socket): boolean {
  return 'alpnProtocol' in socket && socket.alpnProtocol === 'h2';
}

function sayClose(connection: Connection): void {
  const { newest } = connection;
  if (newest === undefined || newest.headersSent) return;
  newest.setHeader('connection', 'close');
  connection.saysClose = true;
}

/** A pipelined request came before the answer that should have been the last. */
function takeBackClose(connection: Connection): void {
  if (connection.saysClose) connection.newest?.removeHeader('connection');
  connection.saysClose = false;
}

function isAnswering({ newest }: Connection): boolean {
  return newest !== undefined && !newest.writableFinished;
}

/** Whether bytes moved since the last look. */
function noteMoves(socket: Socket, connection: Connection): boolean {
  const bytes = socket.bytesRead + socket.bytesWritten;
  if (bytes === connection.bytesMoved) return false;
  connection.bytesMoved = bytes;
  return true;
}
