/** Requests that must come without a body. Main thread. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from '../answers/respond.ts';

/** Answers 400, with `detail`, and returns true if the request announces a body. */
export function refusedBody(
  { headers }: FastifyRequest,
  reply: FastifyReply,
  detail: string,
): boolean {
  const { 'content-length': length = '0', 'transfer-encoding': coding } = headers;
  if (Number(length) === 0 && coding === undefined) return false;
  sendProblem(reply, 'bad-request', { detail, outcome: 'none' });
  return true;
}
