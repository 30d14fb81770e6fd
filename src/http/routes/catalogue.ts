/**
 * `GET` and `HEAD /api/v1/products`: many products, in one of three ways: those named by id, a page,
 * or, as application/x-ndjson, all of them in one stream. Main thread.
 * (Over 300 lines: the three share their parameters, their waiting and their description.)
 */

import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { Lifecycle } from '../../lifecycle.ts';
import type { CatalogueWalk, ProductCatalogue } from '../../store/product-catalogue.ts';
import type { ProductRepository } from '../../store/product-repository.ts';
import { acceptedForm } from '../answers/accepted-form.ts';
import { askHistory } from '../answers/ask-history.ts';
import { CatalogueExport } from '../answers/catalogue-export.ts';
import { CataloguePage, type NoteProduct } from '../answers/catalogue-page.ts';
import { sendLongJson, streamBody, streamCoding } from '../answers/long-answer.ts';
import { exportPriorPrices } from '../answers/prior-price-export.ts';
import { type Present, priorPrices } from '../answers/prior-prices.ts';
import { productJson } from '../answers/product-json.ts';
import { ProductSelection } from '../answers/product-selection.ts';
import { readAgain } from '../answers/read-again.ts';
import { isGone, sendProblem } from '../answers/respond.ts';
import { SliceQueue } from '../answers/slice-queue.ts';
import { REQUEST_ID_HEADER } from '../connection/request-ids.ts';
import type { AppliedGate } from '../guards/applied-gate.ts';
import { refusedWait } from '../guards/phase-guard.ts';
import { READ_POLICY } from '../guards/route-policy.ts';
import { type PageCursor, PageCursors } from '../requests/page-cursor.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { problemResponses, READ_PROBLEMS } from '../schemas/problem.ts';
import {
  priorPricePage,
  priorPriceSelection,
  productPage,
  productSelection,
} from '../schemas/product.ts';
import {
  PAGE_LIMIT_DEFAULT,
  type ProductsQuery,
  parseProductsQuery,
  productsQuery,
} from '../schemas/product-query.ts';
import type { RawQuery } from '../schemas/query-reader.ts';
import { encodingHeader, streamText } from '../schemas/response.ts';
import type { AppliedProgress } from '../seams/applied-progress.ts';
import type { HistoryDeps } from './history.ts';

export interface CatalogueRouteDeps extends HistoryDeps {
  readonly products: ProductRepository;
  readonly catalogue: ProductCatalogue;
  readonly watermark: AppliedProgress;
  readonly gate: AppliedGate;
  readonly lifecycle: Lifecycle;
  /** page-cursor.ts; where others have the same places. */
  readonly placesName?: string | undefined;
}

const JSON_FORM = 'application/json';
const LINES_FORM = 'application/x-ndjson';
/** The same by the name that many use; what is asked for is what the answer is called. */
const LINES_FORM_TOO = 'application/ndjson';
const FORMS = [JSON_FORM, LINES_FORM, LINES_FORM_TOO] as const;
/** An answer of more takes a good part of a millisecond: a thousand of them at once are dealt out to as many turns. */
const SHORT_PRODUCTS_MAX = 100;

const FIRST_PAGE: PageCursor = { place: { shard: 0, entry: 0 }, seq: 0 };

type LinesForm = typeof LINES_FORM | typeof LINES_FORM_TOO;

const LINES = {
  schema: streamText('One product a line.', 'Product', 'PriorPrice'),
  example: '{"id":"abc123","price":49.99,"stock":100}\n',
};

/** How products are shown: what is kept of each that is read, and the JSON of all of them. */
interface ProductsView {
  readonly note: NoteProduct;
  readonly products: () => readonly string[] | Promise<readonly string[]>;
}

export function catalogueRoutes(app: FastifyInstance, deps: CatalogueRouteDeps): void {
  const { products, catalogue, watermark, gate, history, historyGate, lifecycle } = deps;
  const cursors = new PageCursors(deps.placesName);
  const slices = new SliceQueue();

  app.route<{ Querystring: RawQuery }>({
    method: 'GET',
    url: '/api/v1/products',
    config: { policy: READ_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'getProducts',
      summary: 'Products by id, page by page, or all in one stream',
      description:
        'With `id`, those products. Otherwise a page: every product that was there when the first ' +
        'page was read is on exactly one page, whatever is written meanwhile. With ' +
        '`Accept: application/x-ndjson` (or application/ndjson), all products in one stream, one ' +
        'JSON object a line; ' +
        '`x-resume-seq` names the seq from which the change feed goes on without a gap. With ' +
        '`view=prior-price`, PriorPrice in place of Product.',
      tags: ['Products'],
      querystring: productsQuery,
      response: {
        200: {
          description: 'The selection, the page or the stream.',
          headers: {
            'x-resume-seq': Type.Integer({
              minimum: 0,
              description: 'Of the stream only: the since of the change feed.',
            }),
            ...encodingHeader,
          },
          content: {
            [JSON_FORM]: {
              schema: Type.Union([
                productPage,
                productSelection,
                priorPricePage,
                priorPriceSelection,
              ]),
              example: { products: [{ id: 'abc123', price: 49.99, stock: 100 }], next: null },
            },
            [LINES_FORM]: LINES,
            [LINES_FORM_TOO]: LINES,
          },
        },
        ...problemResponses(
          ...READ_PROBLEMS,
          'invalid-parameter',
          'history-off',
          'not-acceptable',
          'cursor-expired',
          'precondition-failed',
          'not-yet-applied',
          'read-contention',
          'history-unavailable',
        ),
      },
    },
    handler: (request, reply) => {
      reply.raw.setHeader('vary', 'accept, accept-encoding');
      const form = acceptedForm(request, reply, FORMS);
      if (form === undefined) return;
      const parsed = parseProductsQuery(request.query);
      if ('fault' in parsed) return refuseParameter(reply, parsed.fault);
      const { query } = parsed;
      if (form !== JSON_FORM) sendAll(query, form, reply);
      else if (query.ids.length > 0) sendSelection(query, reply);
      else sendPage(query, reply);
    },
  });

  function sendSelection(query: ProductsQuery, reply: FastifyReply): void {
    passGate(query, reply, () => {
      const view = viewOf(query);
      const selection = new ProductSelection(products, query.ids, view.note);
      inTurn(query.ids.length, reply, () =>
        sendWhenRead(
          reply,
          () => selection.read(),
          view,
          () => `"missing":[${selection.missing.join(',')}]`,
        ),
      );
    });
  }

  function sendPage(query: ProductsQuery, reply: FastifyReply): void {
    const cursor = query.cursor === undefined ? FIRST_PAGE : cursors.decode(query.cursor);
    if (cursor === 'expired') {
      sendProblem(reply, 'cursor-expired');
      return;
    }
    const walk = walkAt(cursor);
    if (cursor === 'invalid' || walk === undefined) {
      refuseParameter(reply, 'cursor must be the next of a page.');
      return;
    }
    // An instance that is behind is not to miss what was there for the first page.
    const { waitMs } = query;
    gate.pass({ minSeq: cursor.seq, waitMs }, reply, () =>
      passGate(query, reply, () => sendWalk(query, walk, reply)),
    );
  }

  function walkAt(cursor: PageCursor | 'invalid'): CatalogueWalk | undefined {
    if (cursor === 'invalid') return undefined;
    return cursor === FIRST_PAGE ? catalogue.walk() : catalogue.walkFrom(cursor.place);
  }

  /** Sends the page that begins where `walk` stands. */
  function sendWalk(query: ProductsQuery, walk: CatalogueWalk, reply: FastifyReply): void {
    // Before the page is read: more than that may be on it.
    const { seq } = watermark;
    const view = viewOf(query);
    const limit = query.limit ?? PAGE_LIMIT_DEFAULT;
    const page = new CataloguePage(walk, limit, view.note);
    inTurn(limit, reply, () =>
      sendWhenRead(
        reply,
        () => page.read(),
        view,
        () => `"next":${nextOf(page, seq)}`,
      ),
    );
  }

  /** Sends an answer of so many products at once, or where they are many in its turn among long answers. */
  function inTurn(count: number, reply: FastifyReply, send: () => void): void {
    if (count <= SHORT_PRODUCTS_MAX) {
      send();
      return;
    }
    slices.put(() => {
      try {
        send();
      } catch (error) {
        reply.send(error);
      }
    });
  }

  /** Waits for what is asked of: the store, or the history. */
  function passGate(query: ProductsQuery, reply: FastifyReply, read: () => void): void {
    if (query.prior === undefined) gate.pass(query, reply, read);
    else if (historyGate === undefined) sendProblem(reply, 'history-off');
    else historyGate.pass(query, reply, read);
  }

  function viewOf({ isFull, prior }: ProductsQuery): ProductsView {
    if (prior !== undefined && history !== undefined) {
      const present: Present[] = [];
      return {
        note: (id, { price, seq }) => void present.push({ id, price, seq }),
        products: () => priorPrices(history, present, prior),
      };
    }
    const texts: string[] = [];
    return {
      note: (id, state) => void texts.push(productJson(id, state, isFull)),
      products: () => texts,
    };
  }

  function nextOf({ next: place }: CataloguePage, seq: number): string {
    return place === undefined ? 'null' : `"${cursors.encode({ place, seq })}"`;
  }

  function sendAll(query: ProductsQuery, form: LinesForm, reply: FastifyReply): void {
    if (query.ids.length > 0 || query.limit !== undefined || query.cursor !== undefined) {
      const detail = `id, limit and cursor don't go with ${form}, which has all products.`;
      refuseParameter(reply, detail);
      return;
    }
    // It takes its time: it is not begun in a stop.
    if (refusedWait(lifecycle, reply)) return;
    passGate(query, reply, () => {
      reply.hijack();
      const response = reply.raw;
      const coding = streamCoding(reply, 'accept');
      // Taken before the first entry is read: what is applied later, the change feed has.
      const headers = {
        'content-type': form,
        'x-resume-seq': String(watermark.seq),
        [REQUEST_ID_HEADER]: String(reply.request.id),
      };
      response.writeHead(200, headers);
      if (reply.request.method === 'HEAD') {
        response.end();
        return;
      }
      const { isFull, prior: rule } = query;
      const body = streamBody(response, coding);
      if (rule !== undefined && history !== undefined) {
        const walk = catalogue.walk();
        void exportPriorPrices({ walk, rule, history, response, body, lifecycle });
        return;
      }
      CatalogueExport.start({ walk: catalogue.walk(), isFull, response, body, slices, lifecycle });
    });
  }
}

/**
 * Answers once `read` returns true, which it does at once unless a writer holds an entry. `rest` is what
 * stands behind the products.
 */
function sendWhenRead(
  reply: FastifyReply,
  read: () => boolean,
  view: ProductsView,
  rest: () => string,
): void {
  const send = (products: readonly string[]): void =>
    sendLongJson(reply, `{"products":[${products.join(',')}],${rest()}}`, 'accept');
  const attempt = (): boolean => {
    if (!read()) return false;
    const products = view.products();
    if (products instanceof Promise) askHistory(reply, products, send);
    else send(products);
    return true;
  };
  if (isGone(reply) || attempt()) return;
  readAgain(reply, attempt);
}

function refuseParameter(reply: FastifyReply, detail: string): void {
  sendProblem(reply, 'invalid-parameter', { detail });
}
