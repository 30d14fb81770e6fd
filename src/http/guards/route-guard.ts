/**
 * What is no route: unknown paths answer 404, known paths with another method 405 and `Allow`,
 * both before any body is read or judged. Main thread. Watches the routes as they are added, so
 * there is no second list of them.
 *
 * Whose path it is, a second router of Fastify's own kind finds. It is made for the first request
 * that needs it: routes that refuse, one for each path and other method, took a tenth of a start.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import Router from 'find-my-way';
import { sendProblem } from '../answers/respond.ts';

type PathRouter = Router.Instance<Router.HTTPVersion.V1>;

export class RouteGuard {
  /** Of each path that has routes. */
  readonly #methods = new Map<string, readonly string[]>();
  readonly #paramLengthMax: number;
  #isClosed = false;
  #router: PathRouter | undefined;

  /** `paramLengthMax` is the app's own. */
  constructor(paramLengthMax: number) {
    this.#paramLengthMax = paramLengthMax;
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
      if (gaps.length === 0) continue;
      app.route({
        method: gaps as HTTPMethods[],
        url,
        schema: { hide: true }, // no operation of the API
        onRequest: this.answer,
        handler: this.answer,
      });
    }
  }

  /** Answers a request that no route took: 405 or 404. */
  readonly answer = (request: FastifyRequest, reply: FastifyReply): void => {
    this.#router ??= this.#routerOf([...this.#methods.keys()]);
    const url: string | undefined = this.#router.find('GET', request.raw.url ?? '')?.store;
    if (url === undefined) {
      sendProblem(reply, 'route-not-found');
      return;
    }
    reply.header('allow', this.#methods.get(url)?.toSorted().join(', '));
    sendProblem(reply, 'method-not-allowed');
  };

  /** Finds which of `urls` the path of a request is, as if it were a GET. */
  #routerOf(urls: readonly string[]): PathRouter {
    const router = Router({ maxParamLength: this.#paramLengthMax });
    for (const url of urls) router.on('GET', url, () => undefined, url);
    return router;
  }
}
