/**
 * What is no route: unknown paths answer 404, known paths with another method 405 and `Allow`,
 * both before any body is read or validated. With authentication, who has no token learns neither. Main thread. Watches the routes as they are added, so
 * there is no second list of them.
 *
 * A pattern's parameter is never empty: `/api/v1/products/` is neither the list nor a product.
 *
 * Whose path it is, a second router of Fastify's own kind finds. It is made for the first request
 * that needs it: routes that refuse, one for each path and other method, took a tenth of a start.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import Router from 'find-my-way';
import { sendProblem } from '../answers/respond.ts';
import type { AccessGuard } from './access-guard.ts';
import type { RateGate } from './rate-guard.ts';
import { PROBE_POLICY } from './route-policy.ts';

/** What stands before the last parameter of a pattern. */
const PARENT = /^(.*\/):[^/]+$/;

const PRODUCTS_PATH = '/api/v1/products/';
const PRODUCT_PATHS =
  `No such path exists here. Behind ${PRODUCTS_PATH} comes one product id, in which a slash is ` +
  'written as %2F, and no other slash; the list is /api/v1/products.';

type PathRouter = Router.Instance<Router.HTTPVersion.V1>;

export class RouteGuard {
  /** Of each path that has routes. */
  readonly #methods = new Map<string, readonly string[]>();
  readonly #paramLengthMax: number;
  readonly #access: AccessGuard;
  readonly #rate: RateGate | undefined;
  #isClosed = false;
  #router: PathRouter | undefined;

  /** `paramLengthMax` is the app's own; `rate` is that of requests which no route takes. */
  constructor(paramLengthMax: number, access: AccessGuard, rate: RateGate | undefined) {
    this.#paramLengthMax = paramLengthMax;
    this.#access = access;
    this.#rate = rate;
  }

  /** Watches `app` and answers what its routes do not; call before the first route. */
  watch(app: FastifyInstance): void {
    app.addHook('onRoute', ({ url, method }) => {
      if (this.#isClosed) return;
      this.#methods.set(url, [...(this.#methods.get(url) ?? []), ...[method].flat()]);
    });
    app.setNotFoundHandler(this.answer);
  }

  /**
   * Takes from a pattern what it has of the paths that are routes themselves: no event is called
   * `batch`. Call behind the last route.
   */
  closeGaps(app: FastifyInstance): void {
    this.#isClosed = true;
    const urls = [...this.#methods.keys()];
    const patterns = this.#routerOf(urls.filter((url) => /[:*]/.test(url)));
    for (const url of urls) {
      const pattern: string = patterns.find('GET', url)?.store ?? url;
      const own = this.#methods.get(url) ?? [];
      const gaps = (this.#methods.get(pattern) ?? []).filter((method) => !own.includes(method));
      if (gaps.length > 0) this.#refuse(app, url, gaps);
    }
    const parents = urls.flatMap((url) => PARENT.exec(url)?.[1] ?? []);
    for (const parent of new Set(parents)) this.#refuse(app, parent, app.supportedMethods);
  }

  #refuse(app: FastifyInstance, url: string, methods: readonly string[]): void {
    app.route({
      method: methods as HTTPMethods[],
      url,
      schema: { hide: true }, // no operation of the API
      config: { policy: PROBE_POLICY }, // `answer` counts it
      onRequest: this.answer,
      handler: this.answer,
    });
  }

  /** Answers and returns true if a request that nothing else counts comes too often. */
  refuses(request: FastifyRequest, reply: FastifyReply): boolean {
    return this.#rate?.refuses(request, reply) ?? false;
  }

  /** Answers a request that no route took: 401, 405, 404, or 429. */
  readonly answer = (request: FastifyRequest, reply: FastifyReply): void => {
    this.#access.passAny(request, reply, this.#rate, () => this.#answerKnown(request, reply));
  };

  #answerKnown(request: FastifyRequest, reply: FastifyReply): void {
    this.#router ??= this.#routerOf([...this.#methods.keys()]);
    const asked = request.raw.url ?? '';
    const found = this.#router.find('GET', asked);
    const isParent = Object.entries(found?.params ?? {}).some(([name, value]) => {
      return name !== '*' && value === '';
    });
    const url: string | undefined = isParent ? undefined : found?.store;
    if (url === undefined) {
      const detail = asked.startsWith(PRODUCTS_PATH) ? PRODUCT_PATHS : undefined;
      sendProblem(reply, 'route-not-found', detail === undefined ? undefined : { detail });
      return;
    }
    reply.header('allow', this.#methods.get(url)?.toSorted().join(', '));
    sendProblem(reply, 'method-not-allowed');
  }

  /** Finds which of `urls` the path of a request is, as if it were a GET. */
  #routerOf(urls: readonly string[]): PathRouter {
    const router = Router({ maxParamLength: this.#paramLengthMax });
    for (const url of urls) router.on('GET', url, () => undefined, url);
    return router;
  }
}
