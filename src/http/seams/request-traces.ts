/** What HTTP needs of whoever records traces. Where tracing is off there is none of it. */
import type { IncomingHttpHeaders } from 'node:http';

/** What a trace records of a request. */
export interface TracedRequest {
  readonly method: string;
  /** With its query, of which nothing is recorded. */
  readonly url: string;
  /** Pattern of its route, if it has one. */
  readonly route: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly address: string;
  readonly id: string;
}

/** What a trace records of a batch whose events are settled. */
export interface TracedBatch {
  /** When its first events were queued (`performance.now()`). */
  readonly queuedAtMs: number;
  /** Lowest and highest seq of its events, those known before included; 0 = none are durable. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly accepted: number;
  readonly duplicates: number;
  /** Whether some waited longer than STORAGE_TIMEOUT, or the log gave up. */
  readonly hasFailed: boolean;
}

/** The recorded span of one request. */
export interface RequestTrace {
  readonly traceId: string;
  /** The context of its span, as the W3C writes it. */
  readonly context: string;
  /** An event of it is queued for the log. */
  enqueued(): void;
  /** That event is durable as `seq`; ends what `enqueued` began. */
  durable(seq: number, isReplayed: boolean): void;
  /** That event will not become durable. */
  refused(reason: string): void;
  /** All that was queued of its batch is settled; may come after the answer. */
  settled(batch: TracedBatch): void;
  /** It is answered; but for `settled` nothing comes after it. */
  end(status: number): void;
}

export interface RequestTraces {
  /** Begins the span of a request, within the trace that its headers name; `undefined` = not sampled. */
  begin(request: TracedRequest): RequestTrace | undefined;
}
