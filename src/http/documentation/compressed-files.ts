/**
 * Compresses what the documentation's page is made of, on its way out of Fastify. Main thread; a hook
 * of docs-app.ts and of nothing else.
 */
import { pipeline, Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { compressors } from '../answers/compressors.ts';
import { COMPRESSED_BYTES_MIN } from '../answers/long-answer.ts';

const COMPRESSIBLE = /^(?:text\/|application\/(?:javascript|json|x-yaml|yaml)\b|image\/svg)/;

/** For `onSend`. */
export async function compressFile(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: unknown,
): Promise<unknown> {
  // A part, an answer without a body, a refusal: as they are.
  if (reply.statusCode !== 200 || !COMPRESSIBLE.test(String(reply.getHeader('content-type')))) {
    return payload;
  }
  reply.header('vary', 'accept-encoding');
  const isText = typeof payload === 'string';
  const bytes = isText ? Buffer.byteLength(payload) : Number(reply.getHeader('content-length'));
  const source = isText ? Readable.from([Buffer.from(payload)]) : payload;
  if (!(source instanceof Readable) || request.method === 'HEAD' || bytes < COMPRESSED_BYTES_MIN) {
    return payload;
  }
  const coding = compressors.codingFor(request.headers['accept-encoding']);
  if (coding === undefined) return payload;
  reply.removeHeader('content-length');
  reply.removeHeader('accept-ranges'); // they count bytes of the file
  reply.header('content-encoding', coding);
  const etag = reply.getHeader('etag');
  // Strong tags say that every byte is the same, whatever the coding.
  if (typeof etag === 'string' && !etag.startsWith('W/')) reply.header('etag', `W/${etag}`);
  // The compressor's reader reports its errors.
  return pipeline(source, compressors.stream(coding), () => undefined);
}
