/** What the headers of a batch say about its body, and which of it is taken. Main thread. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from '../answers/respond.ts';
import { ARRAY_TYPE } from '../schemas/batch-body.ts';
import { isKnownCoding } from './content-decoder.ts';
import { isUtf8Type } from './json-body.ts';

/** Answers 415 and returns true where the headers announce a body that is not taken. */
export function refusedBatchMedia(request: FastifyRequest, reply: FastifyReply): boolean {
  const contentType = request.headers['content-type'];
  if (contentType !== undefined && !isUtf8Type(contentType)) {
    sendProblem(reply, 'unsupported-media-type', { detail: 'The charset must be utf-8.' });
    return true;
  }
  if (!isKnownCoding(codingOf(request))) {
    sendProblem(reply, 'unsupported-media-type', {
      detail: 'The content encoding must be gzip, br, zstd or identity, and one of them only.',
    });
    return true;
  }
  return false;
}

/** The body's content coding; `identity` where the headers say nothing. */
export function codingOf(request: FastifyRequest): string {
  return request.headers['content-encoding']?.trim().toLowerCase() ?? 'identity';
}

/** Whether the body is one array; else one event a line. Fastify has refused all other types. */
export function isArrayBody(request: FastifyRequest): boolean {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  return type.trim().toLowerCase() === ARRAY_TYPE;
}
