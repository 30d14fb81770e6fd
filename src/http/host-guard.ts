/**
 * Refuses requests whose Host is missing or said twice (RFC 9112, section 3.2). Node's own check is
 * off (`server.ts`), because it lets two pass and answers without a body. Main thread.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from './respond.ts';

/** An onRequest hook: answers 400 bad-request, or goes on. */
export function guardHost(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  const { raw } = request;
  const hosts = countHosts(raw.rawHeaders);
  if (hosts === 1 || (hosts === 0 && raw.httpVersion === '1.0')) {
    done();
    return;
  }
  const detail =
    hosts === 0 ? 'The Host header is missing.' : 'The Host header was sent more than once.';
  sendProblem(reply, 'bad-request', { detail });
}

function countHosts(rawHeaders: readonly string[]): number {
  let count = 0;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i];
    if (name.length === 4 && name.toLowerCase() === 'host') count++;
  }
  return count;
}
