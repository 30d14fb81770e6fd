/**
 * The one way out for answers that never pass Fastify: malformed HTTP, a Host that is missing,
 * expectations that are not met. Each is a problem from the registry, and each is reported to
 * `onAnswer` as it is written. Main thread.
 */
import { Buffer } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import {
  PROBLEMS,
  type ProblemCode,
  type ProblemExtras,
  problemBody,
} from '../../errors/problems.ts';
import { PROBLEM_TYPE } from '../answers/respond.ts';
import { noteProblem } from '../metering/metered-response.ts';
import { STATUS_CODES } from './node-http.ts';
import { REQUEST_ID_HEADER, type RequestIds } from './request-ids.ts';
import { COMMON_HEADERS } from './service-response.ts';

/**
 * Called for each answer, with its status, its problem's code, the id in its `instance`, and the request
 * if it became one.
 */
export type OnAnswer = (
  status: number,
  reason: ProblemCode,
  requestId: string,
  request?: IncomingMessage,
) => void;

export class EarlyAnswers {
  readonly #requestIds: RequestIds;
  readonly #onAnswer: OnAnswer;

  constructor(requestIds: RequestIds, onAnswer: OnAnswer) {
    this.#requestIds = requestIds;
    this.#onAnswer = onAnswer;
  }

  /** Answers a request that Node has read and Fastify never sees. */
  answer(response: ServerResponse, code: ProblemCode, extras?: ProblemExtras): void {
    const id = this.#requestIds(response.req);
    const body = bodyOf(code, id, extras);
    this.#onAnswer(PROBLEMS[code].status, code, id, response.req);
    noteProblem(response, code);
    response
      .writeHead(PROBLEMS[code].status, {
        'content-type': PROBLEM_TYPE,
        'content-length': body.length,
        [REQUEST_ID_HEADER]: id,
      })
      .end(body);
  }

  /** Answers what Node could not read as a request, and closes the sending half. */
  answerSocket(socket: Socket, code: ProblemCode): void {
    const { status } = PROBLEMS[code];
    const id = this.#requestIds();
    const body = bodyOf(code, id);
    this.#onAnswer(status, code, id);
    const head = [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      `content-type: ${PROBLEM_TYPE}`,
      `content-length: ${body.length}`,
      `${REQUEST_ID_HEADER}: ${id}`,
      `date: ${new Date().toUTCString()}`,
      ...COMMON_HEADERS.map(([name, value]) => `${name}: ${value}`),
      'connection: close',
      '\r\n',
    ].join('\r\n');
    socket.end(Buffer.concat([Buffer.from(head), body]));
  }
}

function bodyOf(code: ProblemCode, requestId: string, extras?: ProblemExtras): Buffer {
  return Buffer.from(JSON.stringify(problemBody(code, requestId, extras)));
}
