/**
 * What a route declares of itself in its `config`, beside its schema, and the one hook that enforces
 * it before any body is read. A route without a policy is refused when it is added. Main thread.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, RouteOptions } from 'fastify';
import type { Lifecycle } from '../../lifecycle.ts';
import { refusedBatchMedia } from '../requests/batch-media.ts';
import { refusedBatchCondition, refusedTagOfUntagged } from '../requests/conditions.ts';
import { refusedIdempotencyKey } from '../requests/idempotency-key.ts';
import { refusedMedia } from '../requests/json-body.ts';
import { refusedBody } from '../requests/no-body.ts';
import type { Access, AccessGuard } from './access-guard.ts';
import { refusedRead, refusedWrite } from './phase-guard.ts';
import type { RateGate, RateGuard } from './rate-guard.ts';

export interface RoutePolicy {
  /**
   * In which phases it serves. `reads`: once the store is whole, until the end. `writes`: once the log
   * is replayed, until the stop. `by-form`: its handler decides, because the form of the answer does.
   */
  readonly serves: 'always' | 'reads' | 'writes' | 'by-form';
  /** The body it takes; `ignored`: none, and one that comes is read away. */
  readonly body: BodyPolicy | 'ignored';
  /**
   * Of the headers If-Match, If-None-Match and their like. `refused`: any is a 400. `untagged`: what it
   * answers has no ETag, so an If-Match that names one is a 412. `own`: its handler takes them, where
   * other faults of the request come first (RFC 9110, section 13.2.1).
   */
  readonly conditions: 'ignored' | 'refused' | 'untagged' | 'own';
  /** Of Idempotency-Key. `own`: its handler takes it, behind the faults of the body. */
  readonly idempotencyKey: 'ignored' | 'before-body' | 'own';
  /** The least role that may call it; `anyone`: it says nothing of the service's data. */
  readonly access: Access;
  /** What a request of it counts as for rate limits; `none` is for the probes of orchestrators. */
  readonly rate: 'none' | 'read' | 'write' | 'bulk';
}

export type BodyPolicy =
  /** Of these media types, in UTF-8; `known`: plain, or in a content coding that is known. */
  | { readonly types: readonly string[]; readonly codings: 'plain' | 'known' }
  /** Any is a 400 with this detail. */
  | { readonly refusal: string };

/** Of what says nothing of the service's data. */
export const OPEN_POLICY: RoutePolicy = {
  serves: 'always',
  body: 'ignored',
  conditions: 'ignored',
  idempotencyKey: 'ignored',
  access: 'anyone',
  rate: 'read',
};

/** Of what orchestrators ask, however often, and of what counts its requests itself. */
export const PROBE_POLICY: RoutePolicy = { ...OPEN_POLICY, rate: 'none' };

/** Of what reads the data and has no tag. */
export const READ_POLICY: RoutePolicy = {
  serves: 'reads',
  body: 'ignored',
  conditions: 'untagged',
  idempotencyKey: 'ignored',
  access: 'reader',
  rate: 'read',
};

declare module 'fastify' {
  interface FastifyContextConfig {
    readonly policy?: RoutePolicy;
  }
}

/** Answers and returns true if the request is refused. */
type Check = (request: FastifyRequest, reply: FastifyReply) => boolean;

/** Returns what `next` does, if the request may go on; else it answers, and returns `undefined`. */
type Passage = <T>(request: FastifyRequest, reply: FastifyReply, next: () => T) => T | undefined;

/** Enforces the policies of all routes of `app`; call before the first one is added. */
export function enforcePolicies(
  app: FastifyInstance,
  lifecycle: Lifecycle,
  access: AccessGuard,
  rates?: RateGuard,
): void {
  access.decorate(app);
  const reading = new Map<string, string[]>();
  app.addHook('onRoute', (route) => {
    const { method, url, config } = route;
    if (config?.policy === undefined) throw new Error(`${method} ${url} declares no policy`);
    const { policy } = config;
    const readers = reading.get(url) ?? [];
    reading.set(url, readers);
    if (policy.serves !== 'writes' && route.schema?.hide !== true) readers.push(...[method].flat());
    const rate = policy.rate === 'none' ? undefined : rates?.gateOf(policy.rate);
    const pass = passageOf(
      policy.access,
      checksOf(policy, route, lifecycle, readers),
      access,
      rate,
    );
    if (pass === undefined) return;
    if (route.onRequest !== undefined) throw new Error(`${method} ${url} has a guard of its own`);
    if (policy.body === 'ignored') guardHandler(route, pass);
    else route.onRequest = (request, reply, done) => pass(request, reply, done);
  });
}

/** Where no body is read the handler is next anyway, and a hook costs a hot read a tenth more. */
function guardHandler(route: RouteOptions, pass: Passage): void {
  const { handler } = route;
  route.handler = function (request, reply) {
    return pass(request, reply, () => handler.call(this, request, reply));
  };
}

/** Who may not, or comes too often, is refused before anything else is looked at; `undefined` = everything passes. */
function passageOf(
  access: Access,
  checks: readonly Check[],
  guard: AccessGuard,
  rate: RateGate | undefined,
): Passage | undefined {
  const check = inTurn(checks);
  const checked: Passage = (request, reply, next) => {
    return check(request, reply) ? undefined : next();
  };
  if (guard.guards(access)) {
    return (request, reply, next) => {
      return guard.pass(access, request, reply, rate, () => checked(request, reply, next));
    };
  }
  if (rate !== undefined) {
    return (request, reply, next) => {
      return rate.refuses(request, reply) ? undefined : checked(request, reply, next);
    };
  }
  return checks.length === 0 ? undefined : checked;
}

/** The checks of a policy, in the order in which they answer. */
function checksOf(
  policy: RoutePolicy,
  { method }: RouteOptions,
  lifecycle: Lifecycle,
  reading: readonly string[],
): Check[] {
  const { serves, body, conditions, idempotencyKey } = policy;
  const checks: Check[] = [];
  if (serves === 'reads') checks.push((_request, reply) => refusedRead(lifecycle, reply));
  if (serves === 'writes') {
    checks.push((_request, reply) => refusedWrite(lifecycle, reply, reading));
  }
  if (body !== 'ignored') checks.push(...checksOfBody(body, method));
  if (conditions === 'refused') checks.push(refusedBatchCondition);
  if (conditions === 'untagged') checks.push(refusedTagOfUntagged);
  if (idempotencyKey === 'before-body') checks.push(refusedIdempotencyKey);
  return checks;
}

/** The media type itself is Fastify's to refuse, right behind these: it knows the parsers. */
function checksOfBody(body: BodyPolicy, method: RouteOptions['method']): Check[] {
  if ('refusal' in body) {
    return [(request, reply) => refusedBody(request, reply, body.refusal)];
  }
  const media = body.codings === 'known' ? refusedBatchMedia : refusedMedia;
  if (method !== 'PATCH') return [media];
  const acceptPatch = body.types.join(', ');
  return [
    (request, reply) => {
      reply.header('accept-patch', acceptPatch); // RFC 5789, section 2.2: with a 415; others may say it, too
      return media(request, reply);
    },
  ];
}

function inTurn(checks: readonly Check[]): Check {
  const [first, ...rest] = checks;
  if (first === undefined) return () => false;
  if (rest.length === 0) return first;
  const others = inTurn(rest);
  return (request, reply) => first(request, reply) || others(request, reply);
}
