/** Lets each route say which one it is, before anything answers in its name. Main thread. */
import type { FastifyInstance, RouteHandlerMethod } from 'fastify';
import type { HttpMeter } from './http-meter.ts';
import { noteRoute } from './metered-response.ts';

/**
 * Watches the routes of `app`; call behind the hook that puts their guards in. `refusal` is the handler
 * of what is no route: what it answers stays unrouted.
 */
export function meterRoutes(
  app: FastifyInstance,
  meter: HttpMeter,
  refusal: RouteHandlerMethod,
): void {
  app.addHook('onRoute', (route) => {
    if (route.handler === refusal) return;
    const { config, onRequest, handler } = route;
    const takesEvents = config?.policy?.rate === 'write';
    const number = meter.addRoute([route.method].flat().join(','), route.url, takesEvents);
    if (onRequest === undefined) {
      // As for the guards: a hook costs a hot read more than a handler in a handler.
      route.handler = function (request, reply) {
        noteRoute(reply.raw, number);
        return handler.call(this, request, reply);
      };
      return;
    }
    const [guard, ...others] = [onRequest].flat();
    // One hook for both: each costs a hot write another turn of Fastify's runner.
    const noted: typeof guard = function (request, reply, done) {
      noteRoute(reply.raw, number);
      return guard.call(this, request, reply, done);
    };
    route.onRequest = [noted, ...others];
  });
}
