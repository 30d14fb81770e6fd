/**
 * `GET /api/v1/changes`: what changed since a seq, as a stream of server-sent events or as one page of
 * JSON. Main thread. Where Accept takes both (curl's does), `limit` asks for the page and its absence
 * for the stream.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ChangeFeed, ChangePage } from '../../changes/change-feed.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import { isGone, sendJson, sendProblem } from '../answers/respond.ts';
import { refusedWait } from '../guards/phase-guard.ts';
import { preferredType } from '../requests/accept.ts';
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
import { streamText } from '../schemas/response.ts';

/** What the route needs of the feed. */
export type Changes = Pick<ChangeFeed, 'follow' | 'page' | 'hasRoom'>;

export interface ChangeRouteDeps {
  readonly changes: Changes;
  readonly lifecycle: Lifecycle;
}

const STREAM_FORM = 'text/event-stream';
const PAGE_FORM = 'application/json';
const FORMS = [STREAM_FORM, PAGE_FORM] as const;
const FORMS_WITH_LIMIT = [PAGE_FORM, STREAM_FORM] as const;

const FULL_RETRY_AFTER_SECONDS = 5;

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
  'cache-control': 'no-store',
  // Asks nginx not to hold events back.
  'x-accel-buffering': 'no',
  vary: 'accept',
};

export function changeRoutes(app: FastifyInstance, deps: ChangeRouteDeps): void {
  const { changes, lifecycle } = deps;

  app.route<{ Querystring: RawQuery }>({
    method: 'GET',
    url: '/api/v1/changes',
    ...describedOnly,
    schema: {
      operationId: 'getChanges',
      summary: 'What changed since a seq',
      description:
        'As server-sent events, one for each event that changed a product, in the order of seq ' +
        '(`id`), with the state of the product at that seq or newer: whoever keeps the last one of ' +
        'each product has exactly what the service has. `event: reset` says that the log does not ' +
        'reach back: export the products, the stream goes on by itself. A last `event: dropped` ' +
        '(too slow), `stopping` or `failed` ends it; resume with Last-Event-ID. With `limit`, or ' +
        '`Accept: application/json`, one page as JSON.',
      tags: ['Changes'],
      querystring: changesQuery,
      headers: changesHeaders,
      response: {
        200: {
          description: 'The stream, or the page.',
          headers: {
            'cache-control': Type.Literal('no-store', { description: 'Of the stream.' }),
            'x-accel-buffering': Type.Literal('no', { description: 'Of the stream.' }),
          },
          content: {
            [STREAM_FORM]: {
              schema: streamText('Change', 'Each event carries one change as its data.'),
              example: `id: 17\ndata: ${JSON.stringify(EXAMPLE)}\n\n`,
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
          'too-many-followers',
        ),
      },
    },
    handler: (request, reply) => {
      if (refusedWait(lifecycle, reply)) return;
      const parsed = parseChangesQuery(request.query);
      if ('fault' in parsed) return refuseParameter(reply, parsed.fault);
      const last = parseLastEventId(request.headers['last-event-id']);
      if (last === 'invalid') {
        return sendProblem(reply, 'invalid-header', { detail: LAST_EVENT_ID_FAULT });
      }
      // It counts before since: a browser that reconnects sends both, and the older since.
      const query = { ...parsed.query, since: last ?? parsed.query.since };
      const forms = query.limit === undefined ? FORMS : FORMS_WITH_LIMIT;
      const form = preferredType(request.headers.accept, forms);
      if (form === undefined) {
        const detail = `This path answers with ${FORMS.join(' or ')}.`;
        return sendProblem(reply, 'not-acceptable', { detail });
      }
      if (form === PAGE_FORM) sendPage(query, reply);
      else if (query.limit === undefined) follow(query, reply);
      else refuseParameter(reply, `limit goes with ${PAGE_FORM}; a stream has no end.`);
    },
  });

  function follow({ since }: ChangesQuery, reply: FastifyReply): void {
    if (!changes.hasRoom) {
      sendProblem(reply, 'too-many-followers', undefined, FULL_RETRY_AFTER_SECONDS);
      return;
    }
    if (isGone(reply)) return;
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, STREAM_HEADERS);
    if (reply.request.method === 'HEAD') response.end();
    else changes.follow(response, since);
  }

  function sendPage({ since, limit = CHANGES_LIMIT_DEFAULT }: ChangesQuery, reply: FastifyReply) {
    reply.raw.setHeader('vary', 'accept');
    changes.page(since, limit).then(
      (page) => {
        if (!isGone(reply)) sendJson(reply, 200, pageJson(page));
      },
      (error) => reply.send(error),
    );
  }
}

function pageJson({ changes, nextSince, isReset }: ChangePage): string {
  return `{"changes":[${changes.join(',')}],"next_since":${nextSince},"reset":${isReset}}`;
}

function refuseParameter(reply: FastifyReply, detail: string): void {
  sendProblem(reply, 'invalid-parameter', { detail });
}
