/** What the headers of a batch say about its body, and which of it is taken. Main thread. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ArrayReader } from '../../bulk/array-reader.ts';
import type { BatchReader } from '../../bulk/batch-reader.ts';
import { NdjsonReader } from '../../bulk/ndjson-reader.ts';
import type { BatchEvents } from '../../event/batch-event.ts';
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

/** The reader for the body's form; Fastify has refused every other content type. */
export function readerFor(request: FastifyRequest, events: BatchEvents): BatchReader {
  const [type = ''] = (request.headers['content-type'] ?? '').split(';');
  return type.trim().toLowerCase() === ARRAY_TYPE
    ? new ArrayReader(events)
    : new NdjsonReader(events);
}
