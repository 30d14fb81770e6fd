/**
 * Conditions on writes, RFC 9110 section 13.1: `If-Match` with `*` or one entity tag, `If-None-Match`
 * with `*`. The tag of a product is its version, the seq of the event that last changed it; whether
 * the condition holds, the product's owner decides when it applies the event. What is not supported is
 * refused here, before anything is on disk: a guard that is ignored is an overwritten update. The RFC
 * lets servers ignore some of these headers; a client that sends one wants an answer. Main thread.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EXPECTED_ANY, EXPECTED_UNLISTED } from '../../ring/slot.ts';
import { sendProblem } from '../answers/respond.ts';
import { opaqueTagOf, versionOf } from './etag.ts';

const SEQ = /^[1-9]\d{0,15}$/;

/** Expected by a tag that no product can have: no event ever gets this number. */
export const EXPECTED_NEVER = Number.MAX_SAFE_INTEGER;

/** No product has a date that a client could know. */
const UNSUPPORTED = {
  'if-modified-since': 'If-Modified-Since',
  'if-unmodified-since': 'If-Unmodified-Since',
  'if-range': 'If-Range',
} as const;
const ALL = { 'if-match': 'If-Match', 'if-none-match': 'If-None-Match', ...UNSUPPORTED } as const;

/** Whether the request has a condition of any kind, supported or not. The hot path asks. */
export function hasCondition(headers: FastifyRequest['headers']): boolean {
  return (
    headers['if-match'] !== undefined ||
    headers['if-none-match'] !== undefined ||
    headers['if-unmodified-since'] !== undefined ||
    headers['if-modified-since'] !== undefined ||
    headers['if-range'] !== undefined
  );
}

/** Answers 400 and returns true if the write has a condition that is not supported. */
export function refusedCondition(request: FastifyRequest, reply: FastifyReply): boolean {
  const fault = conditionFault(request.headers);
  if (fault === undefined) return false;
  sendProblem(reply, 'invalid-header', { detail: fault, outcome: 'none' });
  return true;
}

/** Answers 400 and returns true if a batch, which takes no condition, has one. */
export function refusedBatchCondition(request: FastifyRequest, reply: FastifyReply): boolean {
  const name = nameIn(request.headers, ALL);
  if (name === undefined) return false;
  const detail = `${name} is not supported on batches: a condition goes with a single event.`;
  sendProblem(reply, 'invalid-header', { detail, outcome: 'none' });
  return true;
}

/**
 * Answers 412 and returns true if a read of what has no tag names one in If-Match. All other conditions
 * RFC 9110 has such a read ignore: an answer with the present state is right whatever they say.
 */
export function refusedTagOfUntagged(request: FastifyRequest, reply: FastifyReply): boolean {
  const header = request.headers['if-match'];
  if (header === undefined || header === '*') return false;
  const detail = 'What this path answers has no ETag, so none that If-Match names is its version.';
  sendProblem(reply, 'precondition-failed', { detail });
  return true;
}

/**
 * What the product must be for the write to count, as ProductEvent has it; `undefined` without a
 * condition. Call after `refusedCondition`. RFC 9110 has If-Match compare strongly, because a weak tag
 * may stand for other bytes; ours is a version whatever proxies that compress make of it.
 */
export function expectedSeqOf({ headers }: FastifyRequest): number | undefined {
  if (headers['if-none-match'] !== undefined) return EXPECTED_UNLISTED;
  const header = headers['if-match'];
  if (header === undefined) return undefined;
  if (header === '*') return EXPECTED_ANY;
  const version = versionOf(opaqueTagOf(header) ?? '');
  const seq = Number(version);
  return SEQ.test(version) && seq < EXPECTED_NEVER ? seq : EXPECTED_NEVER;
}

/** The header that `expectedSeq` came from, as clients know it. */
export function conditionName(expectedSeq: number | undefined): string {
  return ALL[expectedSeq === EXPECTED_UNLISTED ? 'if-none-match' : 'if-match'];
}

function conditionFault(headers: FastifyRequest['headers']): string | undefined {
  const name = nameIn(headers, UNSUPPORTED);
  if (name !== undefined) {
    return `${name} is not supported on writes; If-Match takes the ETag of the product.`;
  }
  const match = headers['if-match'];
  const noneMatch = headers['if-none-match'];
  if (match !== undefined && match !== '*' && opaqueTagOf(match) === undefined) {
    return 'If-Match must be * or one entity tag in quotes; lists of tags are not supported.';
  }
  if (noneMatch !== undefined && noneMatch !== '*') {
    return 'If-None-Match on a write must be *: only if the product is not listed; tags are not supported.';
  }
  if (match !== undefined && noneMatch !== undefined) {
    return 'If-Match and If-None-Match: * can never both hold; send one of them.';
  }
  return undefined;
}

function nameIn(
  headers: FastifyRequest['headers'],
  names: Readonly<Record<string, string>>,
): string | undefined {
  const found = Object.keys(names).find((header) => headers[header] !== undefined);
  return found === undefined ? undefined : names[found];
}
