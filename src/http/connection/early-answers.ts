/**
 * The one way out for answers that never pass Fastify: malformed HTTP, a Host that is missing,
 * expectations that are not met. Each is a problem from the registry, and each is reported to
 * `onAnswer` as it is written. Main thread.
 */
import { Buffer } from 'node:buffer';
import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  PROBLEMS,
  type ProblemCode,
  type ProblemExtras,
  problemBody,
} from '../../errors/problems.ts';
import { PROBLEM_TYPE } from '../answers/respond.ts';
import { STATUS_CODES } from './node-http.ts';
import { COMMON_HEADERS } from './service-response.ts';

/** Called for each answer, with its status, its problem's code and the id in its `instance`. */
export type OnAnswer = (status: number, reason: ProblemCode, requestId: string) => void;

export class EarlyAnswers {
  readonly #nextRequestId: () => string;
  readonly #onAnswer: OnAnswer;

  constructor(nextRequestId: () => string, onAnswer: OnAnswer) {
    this.#nextRequestId = nextRequestId;
    this.#onAnswer = onAnswer;
  }

  /** Answers a request that Node has read and Fastify never sees. */
  answer(response: ServerResponse, code: ProblemCode, extras?: ProblemExtras): void {
    const body = this.#body(code, extras);
    response
      .writeHead(PROBLEMS[code].status, {
        'content-type': PROBLEM_TYPE,
        'content-length': body.length,
      })
      .end(body);
  }

  /** Answers what Node could not read as a request, and closes the sending half. */
  answerSocket(socket: Socket, code: ProblemCode): void {
    const { status } = PROBLEMS[code];
    const body = this.#body(code);
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${body.length}`,
      `date: ${new Date().toUTCString()}`,
      ...COMMON_HEADERS.map(([name, value]) => `${name}: ${value}`),
      'connection: close',
      '\r\n',
    ].join('\r\n');
    socket.end(Buffer.concat([Buffer.from(head), body]));
  }

  #body(code: ProblemCode, extras?: ProblemExtras): Buffer {
    const requestId = this.#nextRequestId();
    this.#onAnswer(PROBLEMS[code].status, code, requestId);
    return Buffer.from(JSON.stringify(problemBody(code, requestId, extras)));
  }
}
