/**
 * `GET` and `HEAD /api/v1/products/{id}`: the current state of one product, straight from the
 * store. Main thread; answers in the same turn unless a writer holds the entry or the client waits
 * for an event. The version is the ETag of both views: what they show changes with it and only then.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { isListed, type ProductRepository } from '../../store/product-repository.ts';
import { askHistory } from '../answers/ask-history.ts';
import { pastStateJson } from '../answers/history-json.ts';
import { presentOf } from '../answers/prior-prices.ts';
import { productJson } from '../answers/product-json.ts';
import { readAgain } from '../answers/read-again.ts';
import { sendJson, sendProblem } from '../answers/respond.ts';
import { TurnAnswers } from '../answers/turn-answers.ts';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import type { AppliedGate } from '../guards/applied-gate.ts';
import { READ_POLICY, type RoutePolicy } from '../guards/route-policy.ts';
import { matchesEtag } from '../requests/etag.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { problemResponses, READ_PROBLEMS } from '../schemas/problem.ts';
import { productParams } from '../schemas/product.ts';
import {
  type ProductQuery,
  parseProductQuery,
  productHeaders,
  productQuery,
} from '../schemas/product-query.ts';
import type { RawQuery } from '../schemas/query-reader.ts';
import { etagHeader, jsonResponse } from '../schemas/response.ts';
import type { HistoryDeps } from './history.ts';

export interface ProductRouteDeps extends HistoryDeps {
  readonly products: ProductRepository;
  readonly gate: AppliedGate;
}

const POLICY: RoutePolicy = { ...READ_POLICY, conditions: 'own' };

const NOT_THIS_VERSION = 'The product does not have a version that If-Match names.';

type ProductRequest = FastifyRequest<{ Params: { id: string }; Querystring: RawQuery }>;

export function productRoutes(app: FastifyInstance, deps: ProductRouteDeps): void {
  const { products, gate, history, historyGate } = deps;
  const turn = new TurnAnswers();

  app.route<{ Params: { id: string }; Querystring: RawQuery }>({
    method: 'GET',
    url: '/api/v1/products/:id',
    config: { policy: POLICY },
    ...describedOnly,
    schema: {
      operationId: 'getProduct',
      summary: 'The current state of one product',
      description:
        'One committed state, never a mix of two. `ETag` is its version (the seq of the event that ' +
        'last changed it), for `If-None-Match` and `If-Match` here and `If-Match` on writes. With `at`, as ' +
        'it was then by event time, which has no tag; it needs `HISTORY`.',
      tags: ['Products'],
      params: productParams,
      querystring: productQuery,
      headers: productHeaders,
      response: {
        200: jsonResponse(
          'Its state; more of it with view=full, as PastProduct with at.',
          Type.Union([Type.Ref('Product'), Type.Ref('PastProduct')]),
          { id: 'abc123', price: 49.99, stock: 100 },
          etagHeader,
        ),
        304: {
          ...Type.Null({ description: 'If-None-Match has its version.' }),
          headers: etagHeader,
        },
        ...problemResponses(
          ...READ_PROBLEMS,
          'invalid-parameter',
          'product-not-found',
          'history-off',
          'precondition-failed',
          'not-yet-applied',
          'read-contention',
          'history-unavailable',
        ),
      },
    },
    handler: (request, reply) => {
      // The query of a URL without one is not even looked at: this is the hot path.
      if (!request.url.includes('?')) {
        read(request, reply, false);
        return;
      }
      const parsed = parseProductQuery(request.query);
      if ('fault' in parsed) {
        return sendProblem(reply, 'invalid-parameter', { detail: parsed.fault });
      }
      const { query } = parsed;
      if (query.atMs !== undefined) return sendPast(request, reply, query, query.atMs);
      gate.pass(query, reply, () => read(request, reply, query.isFull));
    },
  });

  /** The product as it was at `atMs`: not listed then is not found. */
  function sendPast(
    { params: { id } }: ProductRequest,
    reply: FastifyReply,
    query: ProductQuery,
    atMs: number,
  ): void {
    if (history === undefined || historyGate === undefined) {
      sendProblem(reply, 'history-off');
      return;
    }
    historyGate.pass(query, reply, () => {
      const present = presentOf(products, id);
      // A writer holds it: it is becoming something that the history can't have yet.
      const seq = present === 'busy' ? Number.POSITIVE_INFINITY : (present?.seq ?? 0);
      askHistory(reply, history.ask({ kind: 'state', id, atMs }), ({ place, found }) => {
        const isListed = (found?.price?.value ?? found?.stock?.value ?? null) !== null;
        if (found === undefined || !isListed) {
          sendProblem(reply, 'product-not-found');
          return;
        }
        const isComplete = found.wholeFromMs <= atMs && found.version >= seq;
        sendJson(reply, 200, pastStateJson(id, atMs, found, isComplete, place));
      });
    });
  }

  function read(request: ProductRequest, reply: FastifyReply, isFull: boolean): void {
    if (answer(request, reply, isFull)) return;
    readAgain(reply, () => answer(request, reply, isFull));
  }

  /** Reads and answers; false while the entry is busy. */
  function answer(request: ProductRequest, reply: FastifyReply, isFull: boolean): boolean {
    const { id } = request.params;
    const result = products.read(id);
    if (result === 'busy') return false;
    const { state } = products;
    if (result === 'missing' || !isListed(state)) {
      sendProblem(reply, 'product-not-found');
      return true;
    }
    const etag = `"${state.seq}"`;
    const ifMatch = request.headers['if-match'];
    const ifNoneMatch = request.headers['if-none-match'];
    if (ifMatch !== undefined && !matchesEtag(ifMatch, etag)) {
      sendProblem(reply, 'precondition-failed', { detail: NOT_THIS_VERSION });
    } else if (ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, etag)) {
      const headers = { etag, [REQUEST_ID_HEADER]: String(request.id) };
      reply.code(304).headers(headers).send();
    } else {
      sendJson(reply, 200, productJson(id, state, isFull), etag, turn);
    }
    return true;
  }
}
