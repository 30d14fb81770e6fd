/**
 * Reading a JSON body strictly: exactly the media types named, UTF-8 and nothing else, no coding.
 * Main thread. Registered only in the scope of routes that take a body. The schema, not the parser,
 * keeps out `__proto__`: JSON.parse makes it an own member, and unknown members are refused.
 */

import { type Buffer, isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { BodyRefused } from '../../errors/body-refused.ts';
import { whereItFails } from '../../errors/json-fault.ts';
import { type SourceFaults, SourceScan } from '../../event/source-faults.ts';
import { sendProblem } from '../answers/respond.ts';

/** JSON that says what to change: RFC 7396. */
export const MERGE_PATCH_TYPE = 'application/merge-patch+json';

export const JSON_TYPES = ['application/json'] as const;

declare module 'fastify' {
  interface FastifyRequest {
    /** What JSON.parse dropped of the body. */
    sourceFaults: SourceFaults | undefined;
  }
}

/** Adds `types`, whose bodies are JSON, to those that `scope` takes; the app has no other parser. */
export function acceptJson(scope: FastifyInstance, types: readonly string[]): void {
  scope.decorateRequest('sourceFaults', undefined);
  scope.addContentTypeParser([...types], { parseAs: 'buffer' }, parseJson);
}

const BYTE_ORDER_MARK = 0xfeff;

function parseJson(
  request: FastifyRequest,
  body: Buffer,
  done: (error: Error | null, value?: unknown) => void,
): void {
  if (body.length === 0) {
    done(new BodyRefused('empty-body'));
    return;
  }
  const scan = new SourceScan();
  scan.read(body, 0, body.length);
  if (!scan.isAscii && !isUtf8(body)) {
    done(new BodyRefused('invalid-encoding'));
    return;
  }
  let text = body.toString(scan.isAscii ? 'latin1' : 'utf8');
  if (text.charCodeAt(0) === BYTE_ORDER_MARK) {
    text = text.slice(1); // RFC 8259, section 8.1: may be ignored; editors on Windows write it
    if (text === '') {
      done(new BodyRefused('empty-body'));
      return;
    }
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    done(new BodyRefused('invalid-json', whereItFails(text)));
    return;
  }
  const faults = scan.faults(value, text);
  if (faults !== undefined) request.sourceFaults = faults;
  done(null, value);
}

/**
 * Answers 415 and returns true where the headers announce a body that is not plain UTF-8.
 * The media type itself is Fastify's to refuse: it knows one parser only.
 */
export function refusedMedia(request: FastifyRequest, reply: FastifyReply): boolean {
  const contentType = request.headers['content-type'];
  const encoding = request.headers['content-encoding'];
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    sendProblem(reply, 'unsupported-media-type', {
      detail: 'The body must come without a content encoding.',
    });
    return true;
  }
  if (contentType !== undefined && contentType !== 'application/json' && !isUtf8Type(contentType)) {
    sendProblem(reply, 'unsupported-media-type', { detail: 'The charset must be utf-8.' });
    return true;
  }
  return false;
}

/** Whether a content type names no charset but UTF-8. */
export function isUtf8Type(contentType: string): boolean {
  for (const parameter of contentType.split(';').slice(1)) {
    const [name, value = ''] = parameter.split('=');
    if (name.trim().toLowerCase() !== 'charset') continue;
    if (!/^(?:utf-?8|"utf-?8")$/i.test(value.trim())) return false;
  }
  return true;
}
