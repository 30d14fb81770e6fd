/**
 * `Expect: 100-continue` (RFC 9110, section 10.1.1): the client sends its body when it is asked to.
 * It is asked when somebody begins to read the body, so whatever the headers alone decide (length,
 * media type, path, phase) is answered before any of it is sent. Main thread.
 *
 * A client that is refused may send its body all the same, or not: what comes next on the connection
 * can't be known, so Node says `connection: close`. One that did not wait is still sending then, and a
 * close would reset the connection and with it the answer: so its body is awaited for a while.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

/** How long a client may go on sending a body that is refused. */
const LINGER_MS = 1000;

const UNASKED = Symbol('unasked');

interface ExpectingRequest extends IncomingMessage {
  /** Whether its client still waits to be asked for the body. */
  [UNASKED]?: boolean;
}

/** Whether the request's client waits to be asked for its body. */
export function isBodyUnasked(request: ExpectingRequest): boolean {
  return request[UNASKED] === true;
}

/** Takes over from Node, which asks for every body at once. */
export function askForBodiesLate(server: Server): void {
  server.on('checkContinue', (request: ExpectingRequest, response: ServerResponse) => {
    askLate(request, response);
    // Before Node's own listener, which closes the connection.
    response.prependOnceListener('finish', () => {
      if (isBodyUnasked(request)) closeBehindBody(request);
    });
    server.emit('request', request, response);
  });
}

/** Asks for the body of `request` when somebody begins to read it. */
export function askLate(request: ExpectingRequest, response: ServerResponse): void {
  request[UNASKED] = true;
  request.on('newListener', (event) => {
    if (event !== 'data' && event !== 'readable') return;
    if (!isBodyUnasked(request) || response.headersSent) return;
    request[UNASKED] = false;
    response.writeContinue();
  });
}

/** Makes Node, once it closes the connection, wait until the rest of the body was there. */
function closeBehindBody(request: IncomingMessage): void {
  const { socket } = request;
  socket.destroySoon = () => {
    if (request.complete) {
      Socket.prototype.destroySoon.call(socket);
      return;
    }
    socket.end();
    const cutOff = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(cutOff));
    request.once('end', () => Socket.prototype.destroySoon.call(socket));
  };
}
