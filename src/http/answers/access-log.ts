/**
 * The access log: a line for each answer, at the level `debug` only. Main thread. At any other level
 * there is no hook, and it costs nothing. What never passes Fastify has its line in `app.ts`.
 */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { requestFields } from './request-fields.ts';

/** Call before the first route is added. */
export function logAccess(app: FastifyInstance, logger: Logger): void {
  if (!logger.isLevelEnabled('debug')) return;
  app.addHook('onResponse', (request, reply, done) => {
    const { method, url, ip } = request;
    const { statusCode, writableEnded } = reply.raw;
    logger.debug(
      {
        ...requestFields(request),
        method,
        url,
        route: request.routeOptions.url,
        status: statusCode,
        durationMs: Math.round(reply.elapsedTime * 1000) / 1000,
        address: ip,
        ...(writableEnded ? {} : { isCut: true }),
      },
      'answered',
    );
    done();
  });
}
