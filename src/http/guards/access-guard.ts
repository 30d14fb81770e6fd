/**
 * Lets requests through to whom their route is open, before any body is read. Main thread.
 *
 * With authentication: who has a verified token with the role; 401 without a valid one (RFC 6750, section 3),
 * also for paths that don't exist, 403 without the role, 503 while the issuer's keys can't be had. A token
 * that was verified before is let through in the same turn, others when their signature is checked.
 *
 * Requests count for their client's rate here, because who that is is known here first: the subject of a good
 * token, whatever its role, else the address. An address that has used up what it may have gets no signature
 * verified; tokens that were verified before are not held up by that.
 *
 * Without: everybody, but to administration, on the listener that is everybody's, only this machine's own
 * processes. A request that was forwarded, or is for another host's name (a page that a browser has open,
 * whose name was bound to this address), is none of these.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Authenticator } from '../../auth/authenticator.ts';
import { type Identity, type IdentityFault, mayAs, type Role } from '../../auth/identity.ts';
import { isLoopback } from '../../config/host.ts';
import { isGone, sendProblem } from '../answers/respond.ts';
import type { RateGate } from './rate-guard.ts';

/** What a route is open to; `anyone`: needs no token. */
export type Access = 'anyone' | Role;

/** Who the token of a request names; what else stands behind it is not this file's. */
export type Identities = Pick<Authenticator, 'known' | 'identify'>;

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; none where no token is needed, or before it is verified. */
    identity: Identity | undefined;
  }
}

const REALM = 'Bearer realm="product-service"';

/** Whoever forwards says so in one of these, if he says so. */
const FORWARDING = [
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-real-ip',
  'via',
] as const;

const NOT_LOCAL =
  'Without authentication, administration is for processes on the same machine, which ask for localhost directly.';

export class AccessGuard {
  readonly #identities: Identities | undefined;
  readonly #adminFrom: 'this-machine' | 'anywhere';

  /**
   * `identities` is `undefined` without authentication; `adminFrom` says who may administer then: whoever
   * reaches a listener that is for nothing else, or this machine alone.
   */
  constructor(identities: Identities | undefined, adminFrom: 'this-machine' | 'anywhere') {
    this.#identities = identities;
    this.#adminFrom = adminFrom;
  }

  /** Gives each request of `app` its place for who asks; call before the first route. */
  decorate(app: FastifyInstance): void {
    app.decorateRequest('identity', undefined);
  }

  /** Whether a route that is open to `access` has anybody to keep out. */
  guards(access: Access): access is Role {
    if (access === 'anyone') return false;
    if (this.#identities !== undefined) return true;
    return access === 'admin' && this.#adminFrom === 'this-machine';
  }

  /**
   * Returns what `next` does, or answers and returns `undefined`; `rate` is what the request counts for. Where the token must be verified first
   * it returns `undefined`, too, and calls `next` later: what that returns or throws becomes the answer,
   * as Fastify has it.
   */
  pass<T>(
    access: Role,
    request: FastifyRequest,
    reply: FastifyReply,
    rate: RateGate | undefined,
    next: () => T,
  ): T | undefined {
    if (this.#identities !== undefined) return this.#passKnown(access, request, reply, rate, next);
    if (rate?.refuses(request, reply)) return undefined;
    if (!this.guards(access) || isLocal(request)) return next();
    sendProblem(reply, 'forbidden', { detail: NOT_LOCAL });
    return undefined;
  }

  /** The same for what is no route: it is open to whoever has a token, whatever the role. */
  passAny(
    request: FastifyRequest,
    reply: FastifyReply,
    rate: RateGate | undefined,
    next: () => void,
  ): void {
    if (this.#identities !== undefined) this.#passKnown(undefined, request, reply, rate, next);
    else if (!rate?.refuses(request, reply)) next();
  }

  #passKnown<T>(
    access: Role | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
    rate: RateGate | undefined,
    next: () => T,
  ): T | undefined {
    const { authorization } = request.headers;
    const identity = this.#identities?.known(authorization);
    if (identity !== undefined) return admit(identity, access, request, reply, rate, next);
    if (rate?.isSpent(request, reply)) return undefined;
    void this.#identities
      ?.identify(authorization)
      .then((found) => {
        if (isGone(reply)) return;
        if (!('code' in found)) settle(admit(found, access, request, reply, rate, next), reply);
        else if (!rate?.refuses(request, reply)) sendFault(reply, found);
      })
      .catch((error: unknown) => reply.send(error));
    return undefined;
  }
}

function admit<T>(
  identity: Identity,
  access: Role | undefined,
  request: FastifyRequest,
  reply: FastifyReply,
  rate: RateGate | undefined,
  next: () => T,
): T | undefined {
  request.identity = identity;
  if (rate?.refuses(request, reply)) return undefined;
  if (access === undefined || mayAs(identity.role, access)) return next();
  reply.header('www-authenticate', `${REALM}, error="insufficient_scope", scope="${access}"`);
  sendProblem(reply, 'forbidden', {
    detail: `This takes the role ${access}; the token has ${identity.role ?? 'none'}.`,
  });
  return undefined;
}

function sendFault(reply: FastifyReply, { code, detail, retryAfterSeconds }: IdentityFault): void {
  if (code === 'token-missing') {
    reply.header('www-authenticate', REALM);
  } else if (code === 'token-invalid') {
    const description = detail === undefined ? '' : `, error_description="${detail}"`;
    reply.header('www-authenticate', `${REALM}, error="invalid_token"${description}`);
  }
  sendProblem(reply, code, detail === undefined ? undefined : { detail }, retryAfterSeconds);
}

/** Does with what a handler returned what Fastify would have done. */
function settle(result: unknown, reply: FastifyReply): void {
  if (!(result instanceof Promise)) return;
  result.then(
    (payload: unknown) => {
      if (payload !== undefined) reply.send(payload);
    },
    (error: unknown) => reply.send(error),
  );
}

function isLocal({ headers, raw }: FastifyRequest): boolean {
  if (!isLoopback(raw.socket.remoteAddress ?? '')) return false;
  if (FORWARDING.some((name) => headers[name] !== undefined)) return false;
  const { host = 'localhost' } = headers; // HTTP/1.0
  return isLoopback(host.replace(/:\d*$/, '').replace(/^\[(.*)\]$/, '$1'));
}
