/**
 * Answers to what never becomes a request: malformed HTTP, headers too large, too slow, and
 * expectations we don't meet. Main thread, on bare sockets: Fastify isn't involved.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { ProblemCode } from '../../errors/problems.ts';
import type { EarlyAnswers } from './early-answers.ts';

/** How long a refused client may go on sending before it is cut off. */
const LINGER_MS = 1000;
/** Late requests that are answered in one turn of the event loop: Node reports all that it finds in a single one. */
const LATE_PER_TURN = 16;

interface HttpSocket extends Socket {
  /** The oldest response not yet finished. Node's own clientError handling reads it too. */
  _httpMessage?: ServerResponse | null;
}

type ClientErrorHandler = (error: Error, socket: Socket) => void;

/**
 * Makes the listener for the server's `clientError`; it answers each socket once. Node times every
 * request as a whole; for the sockets in `untimed`, whose bodies may be of any length and are watched
 * otherwise (upload.ts), that is no error. Node reports a request once, and the next one again.
 */
export function createClientErrorHandler(
  answers: EarlyAnswers,
  untimed: WeakSet<object> = new WeakSet(),
): ClientErrorHandler {
  const refused = new WeakSet<Socket>();
  const late = new LateRequests((socket) => {
    if (untimed.has(socket) || refused.has(socket)) return;
    refused.add(socket);
    refuseInTurn(socket, 'request-timeout', answers);
  });
  return (error, socket) => {
    // Once the parser has failed it fails again on each further byte.
    if (refused.has(socket)) return;
    if (codeOf(error) === 'ERR_HTTP_REQUEST_TIMEOUT') {
      if (!untimed.has(socket)) late.add(socket);
      return;
    }
    refused.add(socket);
    // What went wrong before there was TLS can't be answered in it.
    const isOfTls = codeOf(error)?.startsWith('ERR_SSL_') || codeOf(error)?.startsWith('ERR_TLS_');
    if (codeOf(error) === 'ECONNRESET' || isOfTls || !socket.writable) {
      socket.destroy();
      return;
    }
    refuseInTurn(socket, problemFor(error), answers);
  };
}

/**
 * Requests that were too slow, a few in a turn: a thousand answers at once would hold up whoever is not. One that
 * becomes whole while it waits here is served.
 */
class LateRequests {
  readonly #refuse: (socket: HttpSocket) => void;
  #waiting: { readonly socket: HttpSocket; readonly response: ServerResponse | undefined }[] = [];

  constructor(refuse: (socket: HttpSocket) => void) {
    this.#refuse = refuse;
  }

  add(socket: HttpSocket): void {
    if (this.#waiting.length === 0) setImmediate(() => this.#turn());
    // What came whole before it has its answer to come, and is not late.
    const response = socket._httpMessage?.req.complete ? undefined : socket._httpMessage;
    this.#waiting.push({ socket, response: response ?? undefined });
  }

  #turn(): void {
    const now = this.#waiting.splice(0, LATE_PER_TURN);
    if (this.#waiting.length > 0) setImmediate(() => this.#turn());
    for (const { socket, response } of now) {
      if (!response?.req.complete) this.#refuse(socket);
    }
  }
}

/** Answers an Expect other than 100-continue with 417 and a problem instead of an empty body. */
export function refuseExpectations(server: Server, answers: EarlyAnswers): void {
  server.on('checkExpectation', (_request: IncomingMessage, response: ServerResponse) => {
    answers.answer(response, 'expectation-failed');
  });
}

/**
 * Writes the refusal when its turn has come: responses to earlier requests on this connection come
 * first, else their client would take the refusal for the answer to an event that was taken.
 */
function refuseInTurn(socket: HttpSocket, code: ProblemCode, answers: EarlyAnswers): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const pending = socket._httpMessage;
  if (pending && (pending.headersSent || pending.req.complete)) {
    pending.once('close', () => refuseInTurn(socket, code, answers));
    return;
  }
  answers.answerSocket(socket, code);
  // The client may be sending still. Closing now would reset the connection and with it the
  // refusal on its way, so its end is awaited for a while.
  const cutOff = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(cutOff));
}

function problemFor(error: Error): ProblemCode {
  switch (codeOf(error)) {
    case 'HPE_HEADER_OVERFLOW':
      return 'headers-too-large';
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return 'body-too-large';
    default:
      return 'bad-request';
  }
}

function codeOf(error: Error): string | undefined {
  return 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}
