/**
 * Refuses what is beyond a client's rate: the check that the policy of each route asks for, before
 * anything else is done for the request. Main thread; the hot path.
 *
 * A client is the subject that it has proved to be, else the network that it comes from. Every answer
 * of a limited route says what is left, so that clients can keep below (RateLimit, RateLimit-Policy:
 * draft-ietf-httpapi-ratelimit-headers-11).
 *
 * Of a batch nobody knows how many events it has before it is read: it is let in if its client has one
 * left, and what it turns out to have is charged then (metered-source.ts).
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Identity } from '../../auth/identity.ts';
import { type ClientKey, type ClientKeySecret, ClientKeys } from '../../limits/client-key.ts';
import {
  type RateKind,
  type RateLimit,
  type RateLimits,
  rateLimitField,
} from '../../limits/rate-limits.ts';
import { sendProblem } from '../answers/respond.ts';
import { addHeader } from '../connection/service-response.ts';

/** What requests of one kind count for. Both answer 429 and return true if the request is refused. */
export interface RateGate {
  /** Counts the request. */
  refuses(request: FastifyRequest, reply: FastifyReply): boolean;
  /** Counts nothing: it may turn out to be another client's. */
  isSpent(request: FastifyRequest, reply: FastifyReply): boolean;
}

const UNITS: Readonly<Record<RateKind, string>> = {
  read: 'reads',
  write: 'writes',
  bulk: 'events in batches',
};

const KEY = Symbol('client of this connection');

interface KnownSocket extends Socket {
  [KEY]?: ClientKey;
}

export interface RateGuardOptions {
  readonly limits: RateLimits;
  /** Whether requests may come through a proxy that is trusted, so that one connection has many clients. */
  readonly isProxied: boolean;
  /** What the keys in the tables are made with; their own, unless given. */
  readonly secret?: ClientKeySecret | undefined;
}

export class RateGuard {
  readonly #limits: RateLimits;
  readonly #isProxied: boolean;
  readonly #keys: ClientKeys;
  readonly #ofIdentities = new WeakMap<Identity, ClientKey>();

  constructor({ limits, isProxied, secret }: RateGuardOptions) {
    this.#limits = limits;
    this.#keys = new ClientKeys(secret);
    this.#isProxied = isProxied;
  }

  /** The gate of requests of one kind; `undefined` if these are not limited. */
  gateOf(kind: RateKind): RateGate | undefined {
    const limit = this.#limits[kind];
    if (limit === undefined) return undefined;
    const { table } = limit;
    return {
      refuses: (request, reply) => answered(limit, table.take(this.keyOf(request)), reply),
      isSpent: (request, reply) => {
        return !table.has(this.keyOf(request)) && answered(limit, false, reply);
      },
    };
  }

  /** The limit of events in batches. */
  get bulk(): RateLimit | undefined {
    return this.#limits.bulk;
  }

  /** Whom a request counts for. */
  keyOf(request: FastifyRequest): ClientKey {
    const { identity } = request;
    if (identity !== undefined) return this.#ofIdentity(identity);
    return this.#isProxied ? this.#keys.ofAddress(request.ip) : this.#ofConnection(request.raw);
  }

  #ofIdentity(identity: Identity): ClientKey {
    let key = this.#ofIdentities.get(identity);
    if (key === undefined) {
      key = this.#keys.ofSubject(identity.subject);
      this.#ofIdentities.set(identity, key);
    }
    return key;
  }

  #ofConnection({ socket }: IncomingMessage): ClientKey {
    const known = (socket as KnownSocket)[KEY];
    if (known !== undefined) return known;
    const key = this.#keys.ofAddress(socket.remoteAddress);
    (socket as KnownSocket)[KEY] = key;
    return key;
  }
}

/** Says what is left, answers 429 if nothing was, and returns whether it did. */
function answered(limit: RateLimit, isAllowed: boolean, reply: FastifyReply): boolean {
  const { secondsToAll, secondsToOne } = limit.table;
  addHeader(reply.raw, 'ratelimit-policy', limit.policy);
  const resetSeconds = isAllowed ? secondsToAll : Math.max(1, secondsToOne);
  addHeader(reply.raw, 'ratelimit', rateLimitField(limit, resetSeconds));
  if (!isAllowed) refuse(limit, reply);
  return !isAllowed;
}

function refuse({ kind, table }: RateLimit, reply: FastifyReply): void {
  const { quota, windowSeconds } = table.rate;
  const detail = `A client may have ${quota} ${UNITS[kind]} in ${windowSeconds} s.`;
  const extras = kind === 'read' ? { detail } : ({ detail, outcome: 'none' } as const);
  sendProblem(reply, 'rate-limited', extras, Math.max(1, table.secondsToOne));
}
