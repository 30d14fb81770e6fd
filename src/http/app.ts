/**
 * Assembles the HTTP side: one Fastify app with its server, guards and routes, not yet listening.
 * Main thread. Knows the write path and the store by their seams only.
 */
import type { BlockList } from 'node:net';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { isIn } from '../config/networks.ts';
import { compilersFactory } from '../event/ajv.ts';
import type { AckLevel, EventIntake } from '../intake/event-intake.ts';
import type { Lifecycle } from '../lifecycle.ts';
import type { ClientKeySecret } from '../limits/client-key.ts';
import type { RateLimits } from '../limits/rate-limits.ts';
import type { ProductCatalogue } from '../store/product-catalogue.ts';
import type { ProductRepository } from '../store/product-repository.ts';
import { logAccess } from './answers/access-log.ts';
import { createErrorHandler } from './answers/error-handler.ts';
import { allowOrigins } from './connection/cross-origin.ts';
import { EarlyAnswers, type OnAnswer } from './connection/early-answers.ts';
import { askForBodiesLate } from './connection/expect-continue.ts';
import { guardHost } from './connection/host-guard.ts';
import { Http2Response } from './connection/http2-response.ts';
import { createClientErrorHandler, refuseExpectations } from './connection/protocol-errors.ts';
import { createRequestIds } from './connection/request-ids.ts';
import {
  createHttpServer,
  HEADER_BYTES_MAX,
  type HttpLimits,
  type ServerParts,
} from './connection/server.ts';
import { SlowReaders } from './connection/slow-readers.ts';
import type { LoadedTls } from './connection/tls-files.ts';
import { docsRoutes } from './documentation/docs-routes.ts';
import { AccessGuard, type Identities } from './guards/access-guard.ts';
import { AppliedGate } from './guards/applied-gate.ts';
import { RateGuard } from './guards/rate-guard.ts';
import { RouteGuard } from './guards/route-guard.ts';
import { enforcePolicies } from './guards/route-policy.ts';
import { meterRoutes } from './metering/meter-routes.ts';
import { meteredHttp2Responses, meteredResponses } from './metering/metered-response.ts';
import type { Metering } from './metering/metering.ts';
import { traceRequests } from './requests/request-tracing.ts';
import { traceIdOf } from './requests/trace-parent.ts';
import { Uploads } from './requests/uploads.ts';
import { type BatchLimits, batchRoute } from './routes/batch.ts';
import { catalogueRoutes } from './routes/catalogue.ts';
import { type Changes, changeRoutes } from './routes/changes.ts';
import { deadLetterRoutes } from './routes/dead-letters.ts';
import { eventOutcomeRoute } from './routes/event-outcome.ts';
import { eventRoutes } from './routes/events.ts';
import { healthRoute } from './routes/health.ts';
import { historyRoutes } from './routes/history.ts';
import { livezRoute } from './routes/livez.ts';
import { metricsRoute } from './routes/metrics.ts';
import { productDelistRoute, productPatchRoute } from './routes/product-writes.ts';
import { productRoutes } from './routes/products.ts';
import { profileRoutes } from './routes/profiles.ts';
import { readyzRoute } from './routes/readyz.ts';
import type { AppliedProgress } from './seams/applied-progress.ts';
import type { Batches } from './seams/batches.ts';
import type { DeadLetterBox } from './seams/dead-letters.ts';
import type { EventOutcomes } from './seams/event-outcomes.ts';
import type { History } from './seams/history.ts';
import type { Profiles } from './seams/profiles.ts';
import type { RequestTraces } from './seams/request-traces.ts';
import type { BatchKeysRunning } from './seams/running-keys.ts';
import type { UploadPlaces } from './seams/upload-places.ts';
import { statusRoutes } from './status/status-routes.ts';
import { StatusStream } from './status/status-stream.ts';
import { EventOffers } from './writes/event-offers.ts';
import { FutureEvents } from './writes/future-events.ts';

export interface AppDeps {
  readonly intake: EventIntake;
  readonly batches: Batches;
  readonly running: BatchKeysRunning;
  /** Where other threads serve HTTP, too: the uploads of this one, and the places of all. */
  readonly uploads?: Uploads | undefined;
  readonly uploadPlaces?: UploadPlaces | undefined;
  readonly outcomes: EventOutcomes;
  readonly watermark: AppliedProgress;
  readonly products: ProductRepository;
  readonly catalogue: ProductCatalogue;
  readonly changes: Changes;
  readonly profiles: Profiles;
  /** None while tracing is off. */
  readonly traces: RequestTraces | undefined;
  /** `undefined` = HISTORY is off. */
  readonly history?: History | undefined;
  readonly deadLetters: DeadLetterBox;
  readonly lifecycle: Lifecycle;
  readonly limits: HttpLimits & BatchLimits;
  readonly rateLimits: RateLimits;
  /** What rate limits know clients by, and how much is open, where other threads serve HTTP, too. */
  readonly rateSecret?: ClientKeySecret | undefined;
  /** What the places of products are called where more threads or instances have the same; its own, unless given. */
  readonly placesName?: string | undefined;
  readonly counts?: ServerParts['counts'];
  /** Whose X-Forwarded-For counts; `undefined`: nobody's. */
  readonly trustedProxies: BlockList | undefined;
  /** Certificate and key; `undefined`: plain HTTP. */
  readonly tls: LoadedTls | undefined;
  /** Whose pages may use the service from a browser; `undefined`: none's. */
  readonly corsOrigins: readonly string[] | undefined;
  /** What a 202 means when the request does not ask. */
  readonly ackDefault: AckLevel;
  /** Who requests are from; `undefined` without authentication. */
  readonly identities: Identities | undefined;
  readonly logger: Logger;
  /** The configuration by its variables, secrets masked. */
  readonly configuration: Readonly<Record<string, string>>;
  /** Without it no request is counted, and there is neither `/metrics` nor a status page. */
  readonly metering?: Metering | undefined;
}

/** What is on a listener: administration is on the service's own, or on one for nothing else. */
export type AppPart = 'all' | 'service' | 'administration';

/** Above every id that fits the headers, so that a long id is a 404 like any other. */
const PARAM_LENGTH_MAX = HEADER_BYTES_MAX;

/**
 * Builds the app; call `listen` or `inject` on the result, and `close` at the end. Shutting down
 * under load is `ConnectionDrain`'s part, before `close`.
 */
export function buildApp(deps: AppDeps, part: AppPart = 'all'): FastifyInstance {
  const { intake, batches, outcomes, watermark, products, catalogue, changes } = deps;
  const { history, lifecycle, limits, rateLimits, trustedProxies, corsOrigins, tls } = deps;
  const { ackDefault, identities, logger, traces, metering } = deps;
  const requestIds = createRequestIds();
  const gate = new AppliedGate(watermark, lifecycle);
  const historyGate = history && new AppliedGate(history.progress, lifecycle);
  const adminFrom = part === 'administration' ? 'anywhere' : 'this-machine';
  const access = new AccessGuard(identities, adminFrom);
  const rates = new RateGuard({
    limits: part === 'administration' ? {} : rateLimits,
    isProxied: trustedProxies !== undefined,
    secret: deps.rateSecret,
  });
  const guard = new RouteGuard(PARAM_LENGTH_MAX, access, rates.gateOf('read'));
  const handleError = createErrorHandler(logger, guard);
  const untimed = new WeakSet<object>();
  const noteEarly: OnAnswer = (status, reason, reqId, request) => {
    const traceId = request === undefined ? undefined : traceIdOf(request.headers);
    logger.debug({ status, reason, reqId, trace_id: traceId }, 'answered before any route');
    // Where a request was read, its response counts itself.
    if (request === undefined) metering?.meter.refused(status, reason);
  };
  const early = new EarlyAnswers(requestIds, noteEarly);

  const app = Fastify({
    // No logger for Fastify: its child logger and listeners cost each request 2–3 µs of CPU (of 16
    // for a GET). What is worth a line, the error handler logs itself.
    serverFactory: (handler) => {
      const meter = metering?.meter;
      const responses = meter && meteredResponses(meter);
      const http2 = {
        responses: meter === undefined ? Http2Response : meteredHttp2Responses(meter),
        early,
        untimed,
        onRefused: () => meter?.noteRefusedStream(),
      };
      const guarded = guardHost(handler, early);
      const next = corsOrigins === undefined ? guarded : allowOrigins(guarded, corsOrigins);
      // A flood on the service's own listener leaves that of administration to operators.
      const counts = part === 'administration' ? undefined : deps.counts;
      return createHttpServer(limits, { handler: next, responses, tls, http2, counts });
    },
    bodyLimit: limits.bodyBytesMax,
    genReqId: requestIds,
    trustProxy: trustedProxies === undefined ? false : (address) => isIn(trustedProxies, address),
    // Requests that arrive while Fastify closes are for our own phases to answer.
    return503OnClosing: false,
    routerOptions: { maxParamLength: PARAM_LENGTH_MAX },
    schemaController: { compilersFactory },
    clientErrorHandler: createClientErrorHandler(early, untimed),
    frameworkErrors: (error, request, reply) => {
      handleError(error, request, reply);
      // No hook is run for it.
      noteEarly(reply.statusCode, 'bad-request', String(request.id), request.raw);
    },
  });
  refuseExpectations(app.server, early);
  askForBodiesLate(app.server);
  new SlowReaders(app.server, limits.answerTimeoutMs);
  app.setErrorHandler(handleError);
  app.removeAllContentTypeParsers(); // bodies are for the routes that say so

  traceRequests(app, traces);
  logAccess(app, logger);
  guard.watch(app);
  enforcePolicies(app, lifecycle, access, rates);
  if (metering !== undefined) {
    metering.meter.watch(app.server);
    meterRoutes(app, metering.meter, guard.answer);
  }
  if (part !== 'administration') {
    const { stockMin, bodyBytesMax } = limits;
    docsRoutes(app, { requestIds, handleError, stockMin });
    const future = new FutureEvents(logger);
    const { uploads = new Uploads(), uploadPlaces = uploads } = deps;
    const offers = new EventOffers({ intake, batches, lifecycle, outcomes, ackDefault });
    app.register(async (scope) => eventRoutes(scope, { offers, stockMin, bodyBytesMax, future }));
    app.register(async (scope) =>
      batchRoute(scope, {
        batches,
        running: deps.running,
        uploads,
        uploadPlaces,
        lifecycle,
        outcomes,
        ackDefault,
        limits,
        rates,
        untimed,
        future,
      }),
    );
    app.register(async (scope) => productPatchRoute(scope, { offers, stockMin, future }));
    app.register(async (scope) => productDelistRoute(scope, { offers, future }));
  }
  // Behind the scopes above, so that the document shows writes first. As a plugin like them: what is
  // thrown among these routes is thrown by `listen`.
  app.register(async () => {
    // On either listener: the status page looks things up.
    eventOutcomeRoute(app, { outcomes });
    productRoutes(app, { products, gate, history, historyGate });
    historyRoutes(app, { products, history, historyGate });
    if (part !== 'administration') {
      const ofHistory = { history, historyGate };
      const { placesName } = deps;
      const read = { products, catalogue, watermark, gate, lifecycle, placesName };
      catalogueRoutes(app, { ...read, ...ofHistory });
      changeRoutes(app, { changes, lifecycle });
    }
    healthRoute(app);
    livezRoute(app);
    readyzRoute(app, lifecycle);
    if (part !== 'service') adminRoutes(app, deps);
    guard.closeGaps(app);
  });
  return app;
}

/** What only operators need: each with `access: 'admin'`. */
function adminRoutes(app: FastifyInstance, deps: AppDeps): void {
  const { deadLetters, metering, profiles, lifecycle, configuration, logger } = deps;
  deadLetterRoutes(app, { deadLetters });
  profileRoutes(app, profiles);
  if (metering === undefined) return;
  metricsRoute(app, metering.figures);
  const stream = new StatusStream(
    () => metering.figures.snapshot(),
    lifecycle,
    (error) => logger.warn({ err: error }, 'status: its figures could not be read'),
  );
  statusRoutes(app, { stream, configuration });
}
