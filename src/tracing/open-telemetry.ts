/**
 * Records traces with OpenTelemetry and exports them by OTLP over HTTP. Main thread. Loaded only where
 * tracing is on. Nothing is registered globally but the log of the SDK's own troubles.
 *
 *   POST /api/v1/events    server span: from the headers of a request to its answer
 *   ├─ event commit        from the queue to the flush that the event shared
 *   └─ frame apply         of all sampled events that became durable together: until all of them are visible;
 *                          a child of the first one's request, with a link to each of the others
 *
 *   POST …/events/batch    server span
 *   ├─ batch commit        from the first events in the queue to the flush of the last ones: one for a whole batch,
 *   │                      which shares hundreds of flushes
 *   └─ frame apply         from there until the last one is visible, and with it all others
 */
import {
  type Context,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { hrTimeToMilliseconds, W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import {
  defaultResource,
  detectResources,
  envDetector,
  resourceFromAttributes,
} from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import type { TraceSettings } from './trace-settings.ts';
import type { RequestSpan, TracedBatch, TracedRequest, TracedService, Tracing } from './tracing.ts';

const SERVICE_NAME = 'product-service';
/** The collector may be down for long: one line is enough for a while. */
const TROUBLE_EVERY_MS = 60_000;
/** An SDK takes so many by default. */
const LINKS_MAX = 128;

export interface OpenTelemetryOptions {
  readonly settings: TraceSettings;
  /** Of this program. */
  readonly version: string;
  readonly logger: Logger;
}

export function startOpenTelemetry(options: OpenTelemetryOptions, service: TracedService): Tracing {
  const { settings, version, logger } = options;
  logTroubles(logger);
  const own = { 'service.name': SERVICE_NAME, 'service.version': version };
  // In this order: the environment's OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win.
  const resource = defaultResource()
    .merge(resourceFromAttributes({ ...own, 'process.pid': process.pid }))
    .merge(detectResources({ detectors: [envDetector] }));
  // The URL by us: the SDK's own puts the path behind a query.
  const exporter = new OTLPTraceExporter({ url: settings.url });
  const provider = new TracerProvider({
    resource,
    sampler: samplerOf(settings),
    spanProcessors: [new BatchSpanProcessor({ exporter, ...settings.batch })],
  });
  const tracer = provider.getTracer(SERVICE_NAME, version);
  const frames = new FrameSpans(tracer, service);
  const propagator = settings.takesContext ? new W3CTraceContextPropagator() : undefined;
  return {
    begin: (request) => {
      const { headers } = request;
      const parent = propagator?.extract(ROOT_CONTEXT, headers, HEADERS) ?? ROOT_CONTEXT;
      const span = tracer.startSpan(
        request.route === undefined ? request.method : `${request.method} ${request.route}`,
        { kind: SpanKind.SERVER, attributes: attributesOf(request) },
        parent,
      );
      return span.isRecording() ? new OpenSpan(tracer, span, frames) : undefined;
    },
    shutdown: async () => {
      await provider.shutdown().catch((error) => logger.warn({ err: error }, 'tracing: not ended'));
      diag.disable();
    },
  };
}

const HEADERS = {
  get: (headers: TracedRequest['headers'], name: string) => headers[name],
  keys: (headers: TracedRequest['headers']) => Object.keys(headers),
};

function samplerOf({ sampler, isParentBased, ratio }: TraceSettings): Sampler {
  const samplers = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  };
  const root = samplers[sampler]();
  return isParentBased ? new ParentBasedSampler({ root }) : root;
}

/** By the semantic conventions of HTTP. No query: it may hold what is nobody's business. */
function attributesOf({ method, url, route, address, id }: TracedRequest) {
  return {
    'http.request.method': method,
    'url.path': url.split('?', 1)[0],
    'url.scheme': 'http',
    'client.address': address,
    'product_service.request_id': id,
    ...(route === undefined ? {} : { 'http.route': route }),
  };
}

/**
 * The clock of a request's span. The SDK reads the time of day at the beginning of each span, in whole milliseconds: by
 * that a child could end after its parent.
 */
class SpanClock {
  readonly #offsetMs: number;

  /** Of a span that has just begun, and is recorded. */
  constructor(span: Span) {
    const { startTime } = span as Span & Pick<ReadableSpan, 'startTime'>;
    this.#offsetMs = hrTimeToMilliseconds(startTime) - performance.now();
  }

  /** The time of day at `steadyMs` of `performance.now()`: now, where none is given. */
  at(steadyMs = performance.now()): number {
    return this.#offsetMs + steadyMs;
  }
}

/** The span of one request, and of its event's way to the disk. */
class OpenSpan implements RequestSpan {
  readonly #tracer: Tracer;
  readonly #span: Span;
  readonly #clock: SpanClock;
  readonly #frames: FrameSpans;
  readonly #context: Context;
  #commit: Span | undefined;

  constructor(tracer: Tracer, span: Span, frames: FrameSpans) {
    this.#tracer = tracer;
    this.#span = span;
    this.#clock = new SpanClock(span);
    this.#frames = frames;
    this.#context = trace.setSpan(ROOT_CONTEXT, span);
  }

  get traceId(): string {
    return this.#span.spanContext().traceId;
  }

  get context(): string {
    const { traceId, spanId, traceFlags } = this.#span.spanContext();
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
  }

  /** Of an event that is refused at once it is never ended, and so never exported. */
  enqueued(): void {
    const options = { startTime: this.#clock.at() };
    this.#commit = this.#tracer.startSpan('event commit', options, this.#context);
  }

  durable(seq: number, isReplayed: boolean): void {
    const commit = this.#commit;
    this.#commit = undefined;
    commit?.setAttributes({ 'product_service.seq': seq, 'product_service.replayed': isReplayed });
    commit?.end(this.#clock.at());
    this.#frames.add(seq, this.#span.spanContext(), this.#clock);
  }

  refused(reason: string): void {
    const commit = this.#commit;
    this.#commit = undefined;
    commit?.setAttribute('error.type', reason);
    commit?.setStatus({ code: SpanStatusCode.ERROR });
    commit?.end(this.#clock.at());
  }

  settled(batch: TracedBatch): void {
    const { queuedAtMs, firstSeq, lastSeq, accepted, duplicates, hasFailed } = batch;
    const attributes = {
      'product_service.first_seq': firstSeq,
      'product_service.seq': lastSeq,
      'product_service.accepted_events': accepted,
      'product_service.replayed_events': duplicates,
    };
    const startTime = this.#clock.at(queuedAtMs);
    const commit = this.#tracer.startSpan('batch commit', { attributes, startTime }, this.#context);
    if (hasFailed) {
      commit.setAttribute('error.type', 'storage-unavailable');
      commit.setStatus({ code: SpanStatusCode.ERROR });
    }
    commit.end(this.#clock.at());
    if (!hasFailed && lastSeq > 0) {
      this.#frames.add(lastSeq, this.#span.spanContext(), this.#clock);
    }
  }

  end(status: number): void {
    this.#span.setAttribute('http.response.status_code', status);
    if (status >= 500) {
      this.#span.setAttribute('error.type', String(status));
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end();
  }
}

/** Events that become durable in one turn were flushed together: one span says when all are visible. */
class FrameSpans {
  readonly #tracer: Tracer;
  readonly #service: TracedService;
  #lastSeq = 0;
  #requests: SpanContext[] = [];
  /** Of the first of them. */
  #clock: SpanClock | undefined;
  #atMs = 0;

  constructor(tracer: Tracer, service: TracedService) {
    this.#tracer = tracer;
    this.#service = service;
  }

  add(seq: number, request: SpanContext, clock: SpanClock): void {
    if (this.#requests.length === 0) {
      this.#clock = clock;
      this.#atMs = clock.at();
      // Behind the loop that settles the frame.
      queueMicrotask(() => this.#begin());
    }
    this.#lastSeq = Math.max(this.#lastSeq, seq);
    this.#requests.push(request);
  }

  #begin(): void {
    const [first, ...others] = this.#requests;
    const lastSeq = this.#lastSeq;
    const clock = this.#clock;
    const attributes = {
      'product_service.seq': lastSeq,
      'product_service.sampled_events': this.#requests.length,
    };
    this.#requests = [];
    this.#lastSeq = 0;
    if (first === undefined) return;
    const links = others.slice(0, LINKS_MAX).map((context) => ({ context }));
    const parent = trace.setSpanContext(ROOT_CONTEXT, first);
    const options = { attributes, links, startTime: this.#atMs };
    const span = this.#tracer.startSpan('frame apply', options, parent);
    this.#service.whenApplied(lastSeq, () => span.end(clock?.at()));
  }
}

/** What the SDK has to complain of, such as a collector that is down. */
function logTroubles(logger: Logger): void {
  let saidAtMs = Number.NEGATIVE_INFINITY;
  const say = (message: string, ...args: unknown[]): void => {
    const nowMs = performance.now();
    if (nowMs - saidAtMs < TROUBLE_EVERY_MS) return;
    saidAtMs = nowMs;
    logger.warn(
      { detail: [message, ...args.map(String)].join(' ').slice(0, 500) },
      'tracing: not all is exported',
    );
  };
  const quiet = () => undefined;
  diag.setLogger(
    { error: say, warn: say, info: quiet, debug: quiet, verbose: quiet },
    { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true },
  );
}
