/** The request header Idempotency-Key: any text of 1 to 255 characters, taken as it is. Main thread. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from './respond.ts';

const KEY_CHARS_MAX = 255;

/** Answers 400 and returns true if the request has a key that can't be one. */
export function refusedIdempotencyKey(request: FastifyRequest, reply: FastifyReply): boolean {
  const key = idempotencyKeyOf(request);
  if (key === undefined || (key.length > 0 && key.length <= KEY_CHARS_MAX)) return false;
  sendProblem(reply, 'invalid-parameter', {
    detail: `Idempotency-Key must have 1 to ${KEY_CHARS_MAX} characters.`,
    outcome: 'none',
  });
  return true;
}

/** The key, which `refusedIdempotencyKey` has let pass, if there is one. */
export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key'];
  return typeof header === 'string' ? header : header?.join();
}
