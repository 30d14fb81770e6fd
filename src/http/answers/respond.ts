/**
 * The forms of answer: JSON that is already text, with or without an event to point at, and a
 * problem from the registry. Main thread. Every route answers through here, so content types are
 * said once.
 */
import { Buffer } from 'node:buffer';
import type { OutgoingHttpHeaders } from 'node:http';
import type { FastifyReply } from 'fastify';
import {
  PROBLEMS,
  type ProblemCode,
  type ProblemExtras,
  problemBody,
} from '../../errors/problems.ts';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import { ServiceResponse } from '../connection/service-response.ts';
import { noteProblem } from '../metering/metered-response.ts';
import type { TurnAnswers } from './turn-answers.ts';

export const JSON_TYPE = 'application/json; charset=utf-8';
export const PROBLEM_TYPE = 'application/problem+json';
/** Before an event's number: where its outcome is. */
export const EVENTS_PATH = '/api/v1/events/';

/**
 * Sends `json`, a complete JSON text, with an ETag where given; with `turn`, at the end of this turn. Writes past Fastify's header map and
 * onSend hooks: this is every answer of the hot paths (onResponse hooks still run).
 */
export function sendJson(
  reply: FastifyReply,
  status: number,
  json: string,
  etag?: string,
  turn?: TurnAnswers,
): void {
  reply.hijack();
  const { raw } = reply;
  const length = Buffer.byteLength(json);
  // Here and not by setHeader, which makes writeHead go through all headers once more.
  const id = String(reply.request.id);
  if (raw instanceof ServiceResponse) {
    const tag = etag === undefined ? '' : `etag: ${etag}\r\n`;
    if (raw.begin(status, `${tag}${jsonLines(length, id)}`, json, length)) {
      if (turn === undefined) raw.endText(json);
      else turn.end(raw, json);
      return;
    }
  }
  const headers: OutgoingHttpHeaders =
    etag === undefined
      ? { 'content-type': JSON_TYPE, 'content-length': length, [REQUEST_ID_HEADER]: id }
      : { etag, 'content-type': JSON_TYPE, 'content-length': length, [REQUEST_ID_HEADER]: id };
  raw.writeHead(status, headers).end(json);
}

/**
 * Sends `json` in answer to a write that is on record as event `seq`. `etag` is the tag that it gave
 * its product; `isReplayed` says that it was on record before. On the hot path, as `sendJson` is.
 */
export function sendAck(
  reply: FastifyReply,
  status: number,
  json: string,
  seq: number,
  isReplayed: boolean,
  etag?: string,
): void {
  reply.hijack();
  const { raw } = reply;
  const length = Buffer.byteLength(json);
  const id = String(reply.request.id);
  if (raw instanceof ServiceResponse) {
    const replayed = isReplayed ? 'idempotency-replayed: true\r\n' : '';
    const tag = etag === undefined ? '' : `etag: ${etag}\r\n`;
    const lines = `location: ${EVENTS_PATH}${seq}\r\n${jsonLines(length, id)}${replayed}${tag}`;
    if (raw.begin(status, lines, json, length)) {
      raw.endText(json);
      return;
    }
  }
  const headers: OutgoingHttpHeaders = {
    location: `${EVENTS_PATH}${seq}`,
    'content-type': JSON_TYPE,
    'content-length': length,
    [REQUEST_ID_HEADER]: id,
  };
  if (isReplayed) headers['idempotency-replayed'] = 'true';
  if (etag !== undefined) headers.etag = etag;
  raw.writeHead(status, headers).end(json);
}

/** The header lines of a JSON text of `length` bytes; `id` is the request's, which is safe in a header. */
function jsonLines(length: number, id: string): string {
  return `content-type: ${JSON_TYPE}\r\ncontent-length: ${length}\r\n${REQUEST_ID_HEADER}: ${id}\r\n`;
}

/** Sends `text`, whole, as `type`. Writes past Fastify as `sendJson` does. */
export function sendText(reply: FastifyReply, type: string, text: string): void {
  reply.hijack();
  const headers = { 'content-type': type, 'content-length': Buffer.byteLength(text) };
  reply.raw.writeHead(200, headers).end(text);
}

/** Adds to a problem that is about to be sent what `sendAck` adds to an answer. */
export function noteEvent(reply: FastifyReply, seq: number, isReplayed: boolean): void {
  reply.header('location', `${EVENTS_PATH}${seq}`);
  if (isReplayed) reply.header('idempotency-replayed', 'true');
}

/** Sends the problem `code`; with `retryAfterSeconds` (whole, ≥ 1) as `Retry-After` where given. */
export function sendProblem(
  reply: FastifyReply,
  code: ProblemCode,
  extras?: ProblemExtras,
  retryAfterSeconds?: number,
): void {
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  const id = String(reply.request.id);
  const body = problemBody(code, id, extras);
  noteProblem(reply.raw, code);
  // A Buffer, because to a string of a JSON type Fastify adds a charset, which RFC 9457 has not.
  reply
    .code(PROBLEMS[code].status)
    .type(PROBLEM_TYPE)
    .header(REQUEST_ID_HEADER, id)
    .send(Buffer.from(JSON.stringify(body)));
}

/** True when nobody is left to answer: the client went away or was answered already. */
export function isGone(reply: FastifyReply): boolean {
  return reply.sent || reply.raw.destroyed;
}
