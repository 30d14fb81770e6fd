/**
 * The request header Idempotency-Key: 1–255 visible ASCII characters, bare or as the quoted string
 * of a structured field (draft-ietf-httpapi-idempotency-key-header, RFC 8941 section 3.3.3); both
 * forms of one text are one key. Main thread.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from '../answers/respond.ts';

const KEY_CHARS_MAX = 255;

const VISIBLE = /^[\x21-\x7e]+$/;
const QUOTED = /^"((?:[\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

/** Answers 400 and returns true if the request has a key that can't be one. */
export function refusedIdempotencyKey(request: FastifyRequest, reply: FastifyReply): boolean {
  const header = request.headers['idempotency-key'];
  if (header === undefined || parseKey(header) !== undefined) return false;
  sendProblem(reply, 'invalid-header', {
    detail: `Idempotency-Key must be 1 to ${KEY_CHARS_MAX} visible ASCII characters, bare or in quotes, given once.`,
    outcome: 'none',
  });
  return true;
}

/** The key, which `refusedIdempotencyKey` has let pass, without quotes; `undefined` without one. */
export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const header = request.headers['idempotency-key'];
  return header === undefined ? undefined : parseKey(header);
}

function parseKey(header: string | readonly string[]): string | undefined {
  if (typeof header !== 'string') return undefined;
  const key = header.startsWith('"')
    ? QUOTED.exec(header)?.[1]?.replaceAll(/\\(["\\])/g, '$1')
    : header;
  return key !== undefined && key.length <= KEY_CHARS_MAX && VISIBLE.test(key) ? key : undefined;
}
