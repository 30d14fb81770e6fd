/**
 * `GET` and `HEAD /api/v1/products/{id}/history` and `/prior-price`: what a product was, by event time.
 * Main thread; another one reads the file meanwhile.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { HistoryPage } from '../../history/history-messages.ts';
import type { ProductRepository } from '../../store/product-repository.ts';
import { timeText } from '../../time/microseconds.ts';
import { acceptedForm } from '../answers/accepted-form.ts';
import { askHistory } from '../answers/ask-history.ts';
import { HISTORY_CSV_HEADER, historyPageJson, markCsv, markJson } from '../answers/history-json.ts';
import { sendLongJson } from '../answers/long-answer.ts';
import { type Present, presentOf, priorPrices } from '../answers/prior-prices.ts';
import { readAgain } from '../answers/read-again.ts';
import { isGone, sendJson, sendProblem } from '../answers/respond.ts';
import type { AppliedGate } from '../guards/applied-gate.ts';
import { READ_POLICY } from '../guards/route-policy.ts';
import { decodeHistoryCursor, encodeHistoryCursor } from '../requests/history-cursor.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { historyHeaders, historyPage, PRIOR_PRICE_EXAMPLE } from '../schemas/history.ts';
import {
  type HistoryQuery,
  historyParameters,
  priorPriceParameters,
  readHistoryQuery,
  readPriorPriceRule,
} from '../schemas/history-query.ts';
import { problemResponses, READ_PROBLEMS } from '../schemas/problem.ts';
import { productParams } from '../schemas/product.ts';
import { readWait, waitParameters } from '../schemas/product-query.ts';
import { QueryReader, type RawQuery } from '../schemas/query-reader.ts';
import { encodingHeader, jsonResponse, streamText } from '../schemas/response.ts';
import type { History } from '../seams/history.ts';

/** What routes need that answer from the history. */
export interface HistoryDeps {
  /** `undefined` = HISTORY is off. */
  readonly history?: History | undefined;
  /** Of the history. */
  readonly historyGate?: AppliedGate | undefined;
}

export interface HistoryRouteDeps extends HistoryDeps {
  readonly products: ProductRepository;
}

const JSON_FORM = 'application/json';
const LINES_FORM = 'application/x-ndjson';
const CSV_FORM = 'text/csv';
const FORMS = [JSON_FORM, LINES_FORM, CSV_FORM] as const;

const HISTORY_NAMES = [...Object.keys(historyParameters), ...Object.keys(waitParameters)];
const PRIOR_NAMES = [...Object.keys(priorPriceParameters), ...Object.keys(waitParameters)];

const CSV_EXAMPLE = `${HISTORY_CSV_HEADER}2026-11-20T00:00:00.000Z,79.99,4711\r\n`;
const ENTRY_EXAMPLE = { at: '2026-11-20T00:00:00.000Z', value: 79.99, seq: 4711 };

type ProductRequest = FastifyRequest<{ Params: { id: string }; Querystring: RawQuery }>;

export function historyRoutes(app: FastifyInstance, deps: HistoryRouteDeps): void {
  const { products, history, historyGate: gate } = deps;

  app.route<{ Params: { id: string }; Querystring: RawQuery }>({
    method: 'GET',
    url: '/api/v1/products/:id/history',
    config: { policy: READ_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'getProductHistory',
      summary: 'Every value that a field of a product had',
      description:
        'By event time: an event that came late stands where it belongs, and any order of delivery gives the ' +
        'same history. Needs `HISTORY`.',
      tags: ['History'],
      params: productParams,
      querystring: Type.Object(
        { ...historyParameters, ...waitParameters },
        { additionalProperties: false },
      ),
      response: {
        200: {
          description: 'A page of it, oldest first.',
          headers: { ...historyHeaders, ...encodingHeader },
          content: {
            [JSON_FORM]: {
              schema: historyPage,
              example: {
                id: 'abc123',
                field: 'price',
                entries: [ENTRY_EXAMPLE],
                next: null,
                whole_from: null,
                history_seq: 4711,
              },
            },
            [LINES_FORM]: {
              schema: streamText('One entry a line.', 'HistoryEntry'),
              example: `${JSON.stringify(ENTRY_EXAMPLE)}\n`,
            },
            [CSV_FORM]: {
              schema: Type.String({
                description: 'RFC 4180; the value is empty where it was deleted.',
              }),
              example: CSV_EXAMPLE,
            },
          },
        },
        ...problemResponses(
          ...READ_PROBLEMS,
          'invalid-parameter',
          'product-not-found',
          'history-off',
          'not-acceptable',
          'precondition-failed',
          'not-yet-applied',
          'history-unavailable',
        ),
      },
    },
    handler: (request, reply) => {
      reply.raw.setHeader('vary', 'accept, accept-encoding');
      const form = acceptedForm(request, reply, FORMS);
      if (form === undefined) return;
      const reader = new QueryReader(request.query, HISTORY_NAMES);
      const asked = readHistoryQuery(reader);
      const afterMs =
        asked.cursor === undefined
          ? undefined
          : decodeHistoryCursor(request.params.id, asked.field, asked.cursor);
      if (asked.cursor !== undefined && afterMs === undefined) {
        reader.fail('cursor must be the next of a page of this history.');
      }
      const parsed = reader.result(readWait(reader));
      if ('fault' in parsed) {
        return sendProblem(reply, 'invalid-parameter', { detail: parsed.fault });
      }
      if (history === undefined || gate === undefined) return sendProblem(reply, 'history-off');
      gate.pass(parsed.query, reply, () => {
        const { id } = request.params;
        const { field, fromMs, toMs, limit } = asked;
        const page = history.ask({ kind: 'page', id, field, fromMs, toMs, afterMs, limit });
        askHistory(reply, page, ({ found, place }) => {
          if (found === undefined) sendProblem(reply, 'product-not-found');
          else sendPage(request, reply, form, asked, found, place);
        });
      });
    },
  });

  app.route<{ Params: { id: string }; Querystring: RawQuery }>({
    method: 'GET',
    url: '/api/v1/products/:id/prior-price',
    config: { policy: READ_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'getPriorPrice',
      summary: 'The price to show beside a reduced one',
      description:
        'The lowest price applied in the days before the reduction (Directive 98/6/EC, Article 6a), from the ' +
        'history by event time. Of many products at once: getProducts with `view=prior-price`. Needs `HISTORY`.',
      tags: ['History'],
      params: productParams,
      querystring: Type.Object(
        { ...priorPriceParameters, ...waitParameters },
        { additionalProperties: false },
      ),
      response: {
        200: jsonResponse('What is known of it.', Type.Ref('PriorPrice'), PRIOR_PRICE_EXAMPLE),
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
      const reader = new QueryReader(request.query, PRIOR_NAMES);
      const rule = readPriorPriceRule(reader);
      const parsed = reader.result(readWait(reader));
      if ('fault' in parsed) {
        return sendProblem(reply, 'invalid-parameter', { detail: parsed.fault });
      }
      if (history === undefined || gate === undefined) return sendProblem(reply, 'history-off');
      const send = (present: Present) => {
        const json = priorPrices(history, [present], rule);
        askHistory(reply, json, ([text = '']) => sendJson(reply, 200, text));
      };
      gate.pass(parsed.query, reply, () => whenPresent(request.params.id, reply, send));
    },
  });

  /** Reads the product, on later turns while a writer holds it; answers where there is none. */
  function whenPresent(id: string, reply: FastifyReply, then: (present: Present) => void): void {
    const attempt = (): boolean => {
      const present = presentOf(products, id);
      if (present === 'busy') return false;
      if (present === undefined) sendProblem(reply, 'product-not-found');
      else then(present);
      return true;
    };
    if (isGone(reply) || attempt()) return;
    readAgain(reply, attempt);
  }
}

function sendPage(
  { params: { id } }: ProductRequest,
  reply: FastifyReply,
  form: (typeof FORMS)[number],
  { field }: HistoryQuery,
  { entries, hasMore, wholeFromMs }: HistoryPage,
  place: number,
): void {
  const last = entries.at(-1);
  const next =
    hasMore && last !== undefined ? encodeHistoryCursor(id, field, last.atMs) : undefined;
  if (form === JSON_FORM) {
    const page = { id, field, entries, next, wholeFromMs, place };
    sendLongJson(reply, historyPageJson(page), 'accept');
    return;
  }
  if (next !== undefined) reply.header('x-next-cursor', next);
  if (wholeFromMs !== Number.NEGATIVE_INFINITY) reply.header('x-whole-from', timeText(wholeFromMs));
  reply.header('x-history-seq', String(place));
  const text =
    form === CSV_FORM
      ? HISTORY_CSV_HEADER + entries.map(markCsv).join('')
      : entries.map((entry) => `${markJson(entry)}\n`).join('');
  const type = form === CSV_FORM ? 'text/csv; charset=utf-8; header=present' : LINES_FORM;
  reply.type(type).send(Buffer.from(text));
}
