/**
 * Says what is wrong with an event's body: one entry per fault, one plain sentence each.
 * Ajv decides that something is wrong and where; the words are here. Main thread.
 */
import type { FastifySchemaValidationError } from 'fastify';
import type { BodyFault } from '../errors/problems.ts';
import { EVENT_ID_RULE } from './event-id.ts';
import { eventTimeMs, FUTURE_MS_MAX, isEventTime } from './event-time.ts';
import { productIdFaults } from './product-id.ts';

/** A body of a million unknown members is answered with this many entries and a count. */
export const FAULTS_LISTED_MAX = 100;

const FIELD_RULES: ReadonlyMap<string, string> = new Map([
  ['', 'The body must be a JSON object.'],
  ['/product_id', 'product_id must be a string.'],
  ['/price', 'price must be a finite number, 0 or more.'],
  ['/stock', `stock must be an integer from 0 to ${Number.MAX_SAFE_INTEGER}.`],
  ['/event_id', EVENT_ID_RULE],
  [
    '/occurred_at',
    'occurred_at must be an RFC 3339 date-time with a zone, or integer milliseconds since 1970.',
  ],
  ['/partial', 'partial must be true or false.'],
]);

const FUTURE_FAULT: BodyFault = {
  pointer: '/occurred_at',
  detail: 'occurred_at must not be more than 5 minutes in the future.',
};

/** Tells whether an event time is too far ahead of `nowMs`; no time given never is. */
export function isTooFarAhead(occurredAtMs: number | undefined, nowMs: number): boolean {
  return occurredAtMs !== undefined && occurredAtMs > nowMs + FUTURE_MS_MAX;
}

/** The one fault of a body that is valid but for its time. */
export function futureFaults(): readonly BodyFault[] {
  return [FUTURE_FAULT];
}

/** Lists every fault of `body`, which the schema refused with `errors`, its future time included. */
export function eventFaults(
  body: unknown,
  errors: readonly FastifySchemaValidationError[],
  nowMs: number,
): readonly BodyFault[] {
  const faults: BodyFault[] = [];
  const seen = new Set<string>();
  for (const error of errors) {
    const pointer = pointerOf(error);
    if (seen.has(pointer)) continue; // a field that breaks two keywords of one rule
    seen.add(pointer);
    if (faults.length < FAULTS_LISTED_MAX) faults.push(...describe(pointer, error, body));
  }
  if (!seen.has('/occurred_at') && isTooFarAhead(timeOf(body), nowMs)) {
    seen.add(FUTURE_FAULT.pointer);
    faults.push(FUTURE_FAULT);
  }
  const unlisted = seen.size - faults.length;
  if (unlisted > 0) faults.push({ pointer: '', detail: `${unlisted} more faults are not listed.` });
  return faults;
}

function describe(
  pointer: string,
  { keyword }: FastifySchemaValidationError,
  body: unknown,
): BodyFault[] {
  if (keyword === 'required') return [{ pointer, detail: `${pointer.slice(1)} is missing.` }];
  if (keyword === 'additionalProperties') return [{ pointer, detail: 'This member is unknown.' }];
  if (pointer === '/product_id') {
    const id = memberOf(body, 'product_id');
    if (typeof id === 'string') return productIdFaults(id).map((detail) => ({ pointer, detail }));
  }
  return [{ pointer, detail: FIELD_RULES.get(pointer) ?? 'This value is not allowed.' }];
}

/** Ajv points at the object whose member is missing or unknown; clients want the member. */
function pointerOf({ instancePath, keyword, params }: FastifySchemaValidationError): string {
  if (keyword === 'required') return `${instancePath}/${escapeToken(params.missingProperty)}`;
  if (keyword === 'additionalProperties') {
    return `${instancePath}/${escapeToken(params.additionalProperty)}`;
  }
  return instancePath;
}

/** RFC 6901, section 3. */
function escapeToken(name: unknown): string {
  return String(name).replaceAll('~', '~0').replaceAll('/', '~1');
}

function timeOf(body: unknown): number | undefined {
  const value = memberOf(body, 'occurred_at');
  if (typeof value === 'number') return value;
  return typeof value === 'string' && isEventTime(value) ? eventTimeMs(value) : undefined;
}

function memberOf(body: unknown, name: string): unknown {
  if (typeof body !== 'object' || body === null) return undefined;
  return (body as Record<string, unknown>)[name];
}
