/**
 * Assembles the HTTP side: one Fastify app with its server, guards and routes, not yet listening.
 * Main thread. Knows the write path and the store by their seams only.
 */
import type { Socket } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import type { DedupeWindow } from '../dedupe/dedupe-window.ts';
import type { BulkIntake } from '../intake/bulk-intake.ts';
import type { AckLevel, EventIntake } from '../intake/event-intake.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { ProductRepository } from '../store/product-repository.ts';
import { createErrorHandler } from './error-handler.ts';
import { guardHost } from './host-guard.ts';
import { createClientErrorHandler, refuseExpectations } from './protocol-errors.ts';
import { createRequestIds } from './request-ids.ts';
import { watchRoutes } from './route-guard.ts';
import { type BatchLimits, batchRoute } from './routes/batch.ts';
import { type AppliedEvents, eventRoutes } from './routes/events.ts';
import { healthRoute } from './routes/health.ts';
import { livezRoute } from './routes/livez.ts';
import { productRoutes } from './routes/products.ts';
import { readyzRoute } from './routes/readyz.ts';
import { ajvOptions } from './schemas/product-event.ts';
import { createHttpServer, type HttpLimits } from './server.ts';

export interface AppDeps {
  readonly intake: EventIntake;
  readonly bulk: BulkIntake;
  /** The keys known to the sequencer. */
  readonly known: DedupeWindow;
  readonly applied: AppliedEvents;
  readonly products: ProductRepository;
  readonly lifecycle: Lifecycle;
  readonly limits: HttpLimits & BatchLimits;
  /** What a 202 means when the request does not ask. */
  readonly ackDefault: AckLevel;
  readonly logger: Logger;
}

/** Above every id that fits Node's 16 KiB of headers, so that a long id is a 404 like any other. */
const PARAM_LENGTH_MAX = 64 * 1024;

/**
 * Builds the app; call `listen` or `inject` on the result, and `close` at the end. Shutting down
 * under load is `ConnectionDrain`'s part, before `close`.
 */
export function buildApp(deps: AppDeps): FastifyInstance {
  const { intake, bulk, known, applied, products, lifecycle, limits, ackDefault, logger } = deps;
  const nextRequestId = createRequestIds();
  const handleError = createErrorHandler(logger);
  const untimed = new WeakSet<Socket>();

  const app = Fastify({
    // No logger for Fastify: its child logger and listeners cost each request 2–3 µs of CPU (of 16
    // for a GET). What is worth a line, the error handler logs itself.
    serverFactory: (handler) => createHttpServer(limits, guardHost(handler, nextRequestId)),
    bodyLimit: limits.bodyBytesMax,
    genReqId: nextRequestId,
    trustProxy: false,
    // Requests that arrive while Fastify closes are for our own phases to answer.
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    ajv: ajvOptions,
    clientErrorHandler: createClientErrorHandler(nextRequestId, untimed),
    frameworkErrors: handleError,
  });
  refuseExpectations(app.server, nextRequestId);
  app.setErrorHandler(handleError);
  app.removeAllContentTypeParsers(); // bodies are for the routes that say so

  const closeGaps = watchRoutes(app);
  app.register(async (scope) => eventRoutes(scope, { intake, lifecycle, applied, ackDefault }));
  app.register(async (scope) =>
    batchRoute(scope, { intake: bulk, known, lifecycle, applied, ackDefault, limits, untimed }),
  );
  productRoutes(app, { products, lifecycle });
  healthRoute(app);
  livezRoute(app);
  readyzRoute(app, lifecycle);
  void app.after(closeGaps);
  return app;
}
