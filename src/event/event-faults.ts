/**
 * What is wrong with an event's body, by its schema: one entry a fault, one plain sentence each. Ajv
 * decides that something is wrong and where; the words are here. Main thread.
 */
import type { FastifySchemaValidationError } from 'fastify';
import type { BodyFault } from '../errors/problems.ts';
import { EVENT_ID_RULE } from './event-id.ts';
import { eventTimeMs, isEventTime } from './event-time.ts';
import { eventTimeFault, futureFault, isTooFarAhead } from './event-time-faults.ts';
import { productIdFaults } from './product-id.ts';

/** A body of a million unknown members is answered with this many entries and a count. */
export const FAULTS_LISTED_MAX = 100;

const FIELD_RULES: ReadonlyMap<string, string> = new Map([
  ['', 'The body must be a JSON object.'],
  ['/product_id', 'product_id must be a string.'],
  ['/price', 'price must be a finite number, 0 or more.'],
  ['/event_id', EVENT_ID_RULE],
  ['/partial', 'partial must be true or false.'],
]);

/** Lists every fault of `body`, which the schema refused with `errors`, its future time included. */
export function eventFaults(
  body: unknown,
  errors: readonly FastifySchemaValidationError[],
  { nowMs, stockMin }: { readonly nowMs: number; readonly stockMin: number },
): readonly BodyFault[] {
  const faults: BodyFault[] = [];
  const seen = new Set<string>();
  for (const error of errors) {
    const pointer = pointerOf(error);
    if (seen.has(pointer)) continue; // a field that breaks two keywords of one rule
    seen.add(pointer);
    if (faults.length < FAULTS_LISTED_MAX) faults.push(...describe(pointer, error, body, stockMin));
  }
  const occurredAtMs = seen.has('/occurred_at') ? undefined : timeOf(body);
  if (occurredAtMs !== undefined && isTooFarAhead(occurredAtMs, nowMs)) {
    seen.add('/occurred_at');
    faults.push(futureFault(occurredAtMs, nowMs));
  }
  const unlisted = seen.size - faults.length;
  if (unlisted > 0) faults.push({ pointer: '', detail: `${unlisted} more faults are not listed.` });
  return faults;
}

function describe(
  pointer: string,
  { keyword }: FastifySchemaValidationError,
  body: unknown,
  stockMin: number,
): BodyFault[] {
  if (keyword === 'required') return [{ pointer, detail: `${pointer.slice(1)} is missing.` }];
  if (keyword === 'additionalProperties') return [{ pointer, detail: 'This member is unknown.' }];
  if (pointer === '/product_id') {
    const id = memberOf(body, 'product_id');
    if (typeof id === 'string') return productIdFaults(id).map((detail) => ({ pointer, detail }));
  }
  if (pointer === '/stock') return [{ pointer, detail: stockRule(stockMin) }];
  if (pointer === '/occurred_at') {
    return [{ pointer, detail: eventTimeFault(memberOf(body, 'occurred_at')) }];
  }
  return [{ pointer, detail: FIELD_RULES.get(pointer) ?? 'This value is not allowed.' }];
}

function stockRule(stockMin: number): string {
  return `stock must be an integer from ${stockMin} to ${Number.MAX_SAFE_INTEGER}.`;
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
