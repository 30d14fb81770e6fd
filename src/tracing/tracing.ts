/** What records traces, as a service sees it. Types only: what implements it is loaded when it is on. */
import type { IncomingHttpHeaders } from 'node:http';
import type { TraceSettings } from './trace-settings.ts';

/** What is known of a request. */
export interface TracedRequest {
  readonly method: string;
  readonly url: string;
  readonly route: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly address: string;
  readonly id: string;
}

/** A batch whose events are settled; times are `performance.now()`'s. */
export interface TracedBatch {
  readonly queuedAtMs: number;
  /** 0 = no event is durable. */
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly accepted: number;
  readonly duplicates: number;
  readonly hasFailed: boolean;
}

export interface RequestSpan {
  readonly traceId: string;
  readonly context: string;
  enqueued(): void;
  durable(seq: number, isReplayed: boolean): void;
  refused(reason: string): void;
  settled(batch: TracedBatch): void;
  end(status: number): void;
}

/** What the recorder needs of the service. */
export interface TracedService {
  /** Calls `onApplied` once the event `seq` is applied. */
  whenApplied(seq: number, onApplied: () => void): void;
}

export interface Tracing {
  /** Begins the span of a request; `undefined` = it is not sampled. */
  begin(request: TracedRequest): RequestSpan | undefined;
  /** Sends what is recorded and ends; never rejects. */
  shutdown(): Promise<void>;
}

/** What other threads that serve HTTP start it with; survives structured cloning. */
export interface ThreadTracing {
  readonly settings: TraceSettings;
  /** Of this program. */
  readonly version: string;
}

/** Loads and starts it. */
export type StartTracing = (service: TracedService) => Promise<Tracing>;
