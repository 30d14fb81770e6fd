/**
 * `GET /api/v1/changes`: what changed since a seq, as a stream of server-sent events or as one page of
 * JSON. Main thread. Where Accept takes both (curl's does), `limit` asks for the page and its absence
 * for the stream.
 *
 * An EventSource is closed for good by any status but 200, and comes back after a stream that ended.
 * So a client that names text/event-stream in Accept (every EventSource does) and can't be served now is held
 * until the service has started, or else is given a stream that says why and ends. All others get 503.
 */

import type { ServerResponse } from 'node:http';
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ChangeFeed, PageEnd } from '../../changes/change-feed.ts';
import { changeJson } from '../../changes/change-json.ts';
import { turnedAway } from '../../changes/follower.ts';
import type { ProblemCode } from '../../errors/problems.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import { sendLongJson } from '../answers/long-answer.ts';
import { isGone, sendProblem } from '../answers/respond.ts';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import { isStopping, refusedWait } from '../guards/phase-guard.ts';
import type { RoutePolicy } from '../guards/route-policy.ts';
import { namesType, preferredType } from '../requests/accept.ts';
import { refusedTagOfUntagged } from '../requests/conditions.ts';
import {
  CHANGES_LIMIT_DEFAULT,
  type ChangesQuery,
  changePage,
  changesHeaders,
  changesQuery,
  LAST_EVENT_ID_FAULT,
  parseChangesQuery,
  parseLastEventId,
} from '../schemas/changes.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { problemResponses, READ_PROBLEMS } from '../schemas/problem.ts';
import type { RawQuery } from '../schemas/query-reader.ts';
import { encodingHeader, streamText } from '../schemas/response.ts';

/** What the route needs of the feed. */
export type Changes = Pick<ChangeFeed, 'enter' | 'leave' | 'follow' | 'page'>;

export interface ChangeRouteDeps {
  readonly changes: Changes;
  readonly lifecycle: Lifecycle;
}

const POLICY: RoutePolicy = {
  serves: 'by-form',
  body: 'ignored',
  conditions: 'own',
  idempotencyKey: 'ignored',
  access: 'reader',
  rate: 'read',
};

const STREAM_FORM = 'text/event-stream';
const PAGE_FORM = 'application/json';
const FORMS = [STREAM_FORM, PAGE_FORM] as const;
const FORMS_WITH_LIMIT = [PAGE_FORM, STREAM_FORM] as const;

const FULL_RETRY_AFTER_SECONDS = 5;
const STOPPING_RETRY_MS = 2000;

const EXAMPLE = {
  seq: 17,
  product_id: 'abc123',
  changed: ['price', 'stock'],
  occurred_at: '2026-01-01T00:00:00.000Z',
  deleted: false,
  price: 49.99,
  stock: 100,
  version: 17,
};

const STREAM_HEADERS = {
  'content-type': STREAM_FORM,
  // no-transform: a proxy that compresses holds events back.
  'cache-control': 'no-store, no-transform',
  // Asks nginx not to hold events back.
  'x-accel-buffering': 'no',
  vary: 'accept',
};

export function changeRoutes(app: FastifyInstance, deps: ChangeRouteDeps): void {
  const { changes, lifecycle } = deps;

  app.route<{ Querystring: RawQuery }>({
    method: 'GET',
    url: '/api/v1/changes',
    config: { policy: POLICY },
    ...describedOnly,
    schema: {
      operationId: 'getChanges',
      summary: 'What changed since a seq',
      description:
        'As server-sent events, one for each event that changed a product, in the order of seq ' +
        '(`id`), with the state of the product at that seq or newer: a client that keeps the last one of ' +
        'each product has exactly what the service has. `event: reset` says that the log does not ' +
        'reach back: export the products, the stream goes on by itself. A last `event: dropped` ' +
        '(too slow), `stopping` or `failed` ends it; resume with Last-Event-ID. `event: position` says ' +
        'where the stream is. Who names text/event-stream in Accept is held while the service ' +
        'starts, and otherwise turned away by a stream that says why (`too-many-followers`, ' +
        '`stopping`) and ends, not by a status. With `limit`, or `Accept: application/json`, one ' +
        'page as JSON.',
      tags: ['Changes'],
      querystring: changesQuery,
      headers: changesHeaders,
      response: {
        200: {
          description: 'The stream, or the page.',
          headers: {
            'cache-control': Type.Literal('no-store, no-transform', {
              description: 'Of the stream.',
            }),
            'x-accel-buffering': Type.Literal('no', { description: 'Of the stream.' }),
            ...encodingHeader,
          },
          content: {
            [STREAM_FORM]: {
              schema: streamText('Each event carries one change as its data.', 'Change'),
              example: `data: ${JSON.stringify(EXAMPLE)}\nid: 17\n\n`,
            },
            [PAGE_FORM]: {
              schema: changePage,
              example: { changes: [EXAMPLE], next_since: 17, reset: false },
            },
          },
        },
        ...problemResponses(
          ...READ_PROBLEMS,
          'invalid-parameter',
          'invalid-header',
          'not-acceptable',
          'precondition-failed',
          'too-many-followers',
        ),
      },
    },
    handler: (request, reply) => {
      const parsed = parseChangesQuery(request.query);
      if ('fault' in parsed) return refuseParameter(reply, parsed.fault);
      const last = parseLastEventId(request.headers['last-event-id']);
      if (last === 'invalid') {
        return sendProblem(reply, 'invalid-header', { detail: LAST_EVENT_ID_FAULT });
      }
      if (refusedTagOfUntagged(request, reply)) return;
      // It counts before since: a browser that reconnects sends both, and the older since.
      const query = { ...parsed.query, since: last ?? parsed.query.since };
      const { accept } = request.headers;
      const form = preferredType(accept, query.limit === undefined ? FORMS : FORMS_WITH_LIMIT);
      if (form === undefined) {
        const detail = `This path answers with ${FORMS.join(' or ')}.`;
        return sendProblem(reply, 'not-acceptable', { detail });
      }
      if (form === STREAM_FORM && query.limit !== undefined) {
        return refuseParameter(reply, `limit goes with ${PAGE_FORM}; a stream has no end.`);
      }
      if (form === STREAM_FORM && namesType(accept, STREAM_FORM)) followOrTurnAway(query, reply);
      else if (refusedWait(lifecycle, reply)) return;
      else if (form === PAGE_FORM) sendPage(query, reply);
      else if (changes.enter()) follow(query, reply);
      else sendProblem(reply, 'too-many-followers', undefined, FULL_RETRY_AFTER_SECONDS);
    },
  });

  /** Of a client for whom any status but 200 is the end. */
  function followOrTurnAway(query: ChangesQuery, reply: FastifyReply): void {
    if (isStopping(lifecycle)) turnAway('stopping', query, STOPPING_RETRY_MS, reply);
    else if (changes.enter()) follow(query, reply);
    else turnAway('too-many-followers', query, FULL_RETRY_AFTER_SECONDS * 1000, reply);
  }

  /** On a place that was taken. */
  function follow({ since }: ChangesQuery, reply: FastifyReply): void {
    const isFollowing = !isGone(reply) && reply.request.method !== 'HEAD';
    if (!isFollowing) changes.leave();
    if (isGone(reply)) return;
    const response = streamHead(reply);
    if (isFollowing) changes.follow(response, since);
    else response.end();
  }

  function turnAway(
    reason: ProblemCode,
    { since }: ChangesQuery,
    retryMs: number,
    reply: FastifyReply,
  ): void {
    if (!isGone(reply)) streamHead(reply).end(turnedAway(reason, since, retryMs));
  }

  function sendPage({ since, limit = CHANGES_LIMIT_DEFAULT }: ChangesQuery, reply: FastifyReply) {
    const texts: string[] = [];
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    changes
      .page(since, limit, (change) => texts.push(changeJson(change)), gone.signal)
      .then(
        (end) => {
          if (isGone(reply)) return;
          if (end === undefined) refusedWait(lifecycle, reply);
          else sendLongJson(reply, pageJson(texts, end), 'accept');
        },
        (error) => reply.send(error),
      );
  }
}

function streamHead(reply: FastifyReply): ServerResponse {
  reply.hijack();
  const id = String(reply.request.id);
  return reply.raw.writeHead(200, { ...STREAM_HEADERS, [REQUEST_ID_HEADER]: id });
}

function pageJson(changes: readonly string[], { nextSince, isReset }: PageEnd): string {
  return `{"changes":[${changes.join(',')}],"next_since":${nextSince},"reset":${isReset}}`;
}

function refuseParameter(reply: FastifyReply, detail: string): void {
  sendProblem(reply, 'invalid-parameter', { detail });
}
