/**
 * The two forms of answer: JSON that is already text, and a problem from the registry.
 * Main thread. Every route answers through here, so content types are said once.
 */
import { Buffer } from 'node:buffer';
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import { PROBLEMS, type ProblemCode, type ProblemExtras, problemBody } from '../errors/problems.ts';

export const JSON_TYPE = 'application/json; charset=utf-8';
export const PROBLEM_TYPE = 'application/problem+json';

/**
 * Sends `json`, a complete JSON text, with an ETag where given. Writes past Fastify's header map and
 * onSend hooks: this is every answer of the hot paths (onResponse hooks still run).
 */
export function sendJson(reply: FastifyReply, status: number, json: string, etag?: string): void {
  reply.hijack();
  const length = Buffer.byteLength(json);
  const headers: OutgoingHttpHeaders =
    etag === undefined
      ? { 'content-type': JSON_TYPE, 'content-length': length }
      : { etag, 'content-type': JSON_TYPE, 'content-length': length };
  reply.raw.writeHead(status, headers).end(json);
}

/** Sends the problem `code`; with `retryAfterSeconds` (whole, ≥ 1) as `Retry-After` where given. */
export function sendProblem(
  reply: FastifyReply,
  code: ProblemCode,
  extras?: ProblemExtras,
  retryAfterSeconds?: number,
): void {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  const body = problemBody(code, String(reply.request.id), extras);
  // A Buffer, because to a string of a JSON type Fastify adds a charset, which RFC 9457 has not.
  reply
    .code(PROBLEMS[code].status)
    .type(PROBLEM_TYPE)
    .send(Buffer.from(JSON.stringify(body)));
}

/** True when nobody is left to answer: the client went away or was answered already. */
export function isGone(reply: FastifyReply): boolean {
  return reply.sent || reply.raw.destroyed;
}
