/**
 * Answers that may be long, compressed for clients that take that: JSON that is already text, and
 * streams. Main thread. The hot reads don't come through here.
 */
import { Buffer } from 'node:buffer';
import type { ServerResponse } from 'node:http';
import { pipeline, type Writable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import { type Coding, compressors } from './compressors.ts';
import { JSON_TYPE, sendJson } from './respond.ts';

/** What fits a packet or two is not worth it. */
export const COMPRESSED_BYTES_MIN = 2048;

/** What decides about the form of an answer, beside the URL. */
type Varies = 'accept' | 'nothing else';

/** The Vary of an answer that may be compressed. */
function varyOf(by: Varies): string {
  return by === 'accept' ? 'accept, accept-encoding' : 'accept-encoding';
}

/** Sends `json`, a complete JSON text, with 200. */
export function sendLongJson(reply: FastifyReply, json: string, variesBy: Varies): void {
  reply.raw.setHeader('vary', varyOf(variesBy));
  const { 'accept-encoding': accepted } = reply.request.headers;
  const isLong = json.length >= COMPRESSED_BYTES_MIN;
  const coding = isLong ? compressors.codingFor(accepted) : undefined;
  if (coding === undefined) {
    sendJson(reply, 200, json);
    return;
  }
  reply.hijack();
  compressors.whole(coding, Buffer.from(json)).then(
    (bytes) => {
      const headers = {
        'content-type': JSON_TYPE,
        'content-encoding': coding,
        'content-length': bytes.length,
        [REQUEST_ID_HEADER]: String(reply.request.id),
      };
      if (!reply.raw.destroyed) reply.raw.writeHead(200, headers).end(bytes);
    },
    () => {
      if (!reply.raw.destroyed) sendJson(reply, 200, json);
    },
  );
}

/** The coding of a stream that is about to be sent, or `undefined`; says it in `response`'s headers. */
export function streamCoding(reply: FastifyReply, variesBy: Varies): Coding | undefined {
  const coding = compressors.codingFor(reply.request.headers['accept-encoding']);
  reply.raw.setHeader('vary', varyOf(variesBy));
  if (coding !== undefined) reply.raw.setHeader('content-encoding', coding);
  return coding;
}

/**
 * Where to write a stream whose coding is `coding`: `response`, or a compressor in front of it.
 * Whichever of the two is destroyed takes the other with it, and the compressor's memory is free then.
 */
export function streamBody(response: ServerResponse, coding: Coding | undefined): Writable {
  if (coding === undefined) return response;
  const compressor = compressors.stream(coding);
  // An error has cut the answer off by then; its client sees that by the missing last chunk.
  pipeline(compressor, response, () => undefined);
  return compressor;
}
