/**
 * If-Match on writes, RFC 9110 sections 8.8.3 and 13.1.1: `*` or one entity tag. The tag of a product
 * is its version, the seq of the event that last changed it. Main thread.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { EXPECTED_ANY } from '../../ring/slot.ts';
import { sendProblem } from '../answers/respond.ts';

// Node reads header bytes as Latin-1. An opaque tag may hold commas, but no quotes.
const ONE_TAG = /^(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"$/;
const SEQ = /^[1-9]\d{0,15}$/;

/** Expected by a tag that no product can have: no event ever gets this number. */
export const EXPECTED_NEVER = Number.MAX_SAFE_INTEGER;

/** Answers 400 and returns true if the request has an If-Match that is none, or a list. */
export function refusedIfMatch(request: FastifyRequest, reply: FastifyReply): boolean {
  const header = request.headers['if-match'];
  if (header === undefined || header === '*' || ONE_TAG.test(header)) return false;
  sendProblem(reply, 'invalid-header', {
    detail: 'If-Match must be * or one entity tag in quotes; lists of tags are not supported.',
    outcome: 'none',
  });
  return true;
}

/**
 * What the product must be for the write to count, as ProductEvent has it; `undefined` without a
 * condition. Call after `refusedIfMatch`. If-Match compares strongly, so a weak tag never matches.
 */
export function expectedSeqOf(request: FastifyRequest): number | undefined {
  const header = request.headers['if-match'];
  if (header === undefined) return undefined;
  if (header === '*') return EXPECTED_ANY;
  const [, weak, tag = ''] = ONE_TAG.exec(header) ?? [];
  const seq = Number(tag);
  return weak === undefined && SEQ.test(tag) && seq < EXPECTED_NEVER ? seq : EXPECTED_NEVER;
}
