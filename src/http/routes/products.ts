/**
 * `GET` and `HEAD /api/v1/products/{id}`: the current state of one product, straight from the
 * store. Main thread; answers in the same turn unless a writer holds the entry.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Lifecycle } from '../../lifecycle.ts';
import type { ProductRepository } from '../../store/product-repository.ts';
import { matchesEtag } from '../etag.ts';
import { retryOnLaterTurns } from '../later-turns.ts';
import { refusedRead } from '../phase-guard.ts';
import { isGone, sendJson, sendProblem } from '../respond.ts';

export interface ProductRouteDeps {
  readonly products: ProductRepository;
  readonly lifecycle: Lifecycle;
}

const CONTENTION_RETRY_AFTER_SECONDS = 1;

export function productRoutes(app: FastifyInstance, deps: ProductRouteDeps): void {
  const { products, lifecycle } = deps;

  app.get<{ Params: { id: string } }>('/api/v1/products/:id', (request, reply) => {
    if (refusedRead(lifecycle, reply)) return;
    const { id } = request.params;
    if (answer(id, request, reply)) return;
    retryOnLaterTurns(
      () => isGone(reply) || answer(id, request, reply),
      () => sendProblem(reply, 'read-contention', undefined, CONTENTION_RETRY_AFTER_SECONDS),
      (error) => reply.send(error),
    );
  });

  /** Reads and answers; false while the entry is busy. */
  function answer(id: string, request: FastifyRequest, reply: FastifyReply): boolean {
    const result = products.read(id);
    if (result === 'busy') return false;
    if (result === 'missing') {
      sendProblem(reply, 'product-not-found');
      return true;
    }
    const { seq, price, stock } = products.state;
    const etag = `"${seq}"`;
    const ifNoneMatch = request.headers['if-none-match'];
    if (ifNoneMatch !== undefined && matchesEtag(ifNoneMatch, etag)) {
      reply.code(304).header('etag', etag).send();
    } else {
      const json = `{"id":${JSON.stringify(id)},"price":${price},"stock":${stock}}`;
      sendJson(reply, 200, json, etag);
    }
    return true;
  }
}
