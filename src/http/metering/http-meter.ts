/**
 * What the HTTP side counts of its requests, answers and connections. Main thread, the hot path: one
 * look at the clock at each end of a request, an addition for its status and one for its bucket, no
 * object. Every answer comes by here, those that never pass Fastify too.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { ProblemCode } from '../../errors/problems.ts';
import { Histogram } from '../../metrics/histogram.ts';
import type { Labels } from '../../metrics/registry.ts';
import { connectionEvent } from '../connection/connection-event.ts';

/** Of requests that no route took. */
export const UNROUTED = 0;

const STATUS_MIN = 100;
const STATUSES = 500;

/** Requests of one route and method. */
export interface RouteCounts {
  readonly labels: Labels;
  /** Answers by status − 100. */
  readonly answers: Float64Array;
  /** From the headers until the whole answer was handed to the system, in ms. */
  readonly durations: Histogram;
  /** Whether one request of it is one event. */
  readonly takesEvents: boolean;
}

/** A connection, or a stream of HTTP/2, and how many of its requests have no whole answer yet. */
export interface Unanswered {
  unanswered?: number;
}

export type MeteredSocket = Socket & Unanswered;

export class HttpMeter {
  readonly routes: RouteCounts[] = [];
  /** Problems answered, by code. */
  readonly problems = new Map<ProblemCode, number>();
  /** The same of requests that are one event each. */
  readonly eventProblems = new Map<ProblemCode, number>();
  /** Requests that have no whole answer yet. */
  inFlight = 0;
  /** Requests whose connection or stream ended before their answer did. */
  aborted = 0;
  connections = 0;
  connectionsAccepted = 0;
  /** Connections closed as they came, and streams of HTTP/2, because there were MAX_CONNECTIONS. */
  connectionsDropped = 0;

  constructor() {
    this.addRoute('any', 'unrouted', false);
  }

  /** Returns its number, by which its answers are counted; of the same route on another listener, too. */
  addRoute(method: string, route: string, takesEvents: boolean): number {
    const known = this.routes.findIndex(
      ({ labels }) => labels.method === method && labels.route === route,
    );
    if (known >= 0) return known;
    this.routes.push({
      labels: Object.freeze({ method, route }),
      answers: new Float64Array(STATUSES),
      durations: new Histogram(),
      takesEvents,
    });
    return this.routes.length - 1;
  }

  /** Counts the connections of `server`; call before it listens. */
  watch(server: Server): void {
    server.on(connectionEvent(server), (socket: MeteredSocket) => {
      socket.unanswered ??= 0;
      this.connections++;
      this.connectionsAccepted++;
      socket.once('close', () => {
        this.connections--;
        this.ended(socket);
      });
    });
    server.on('drop', () => {
      this.connectionsDropped++;
    });
  }

  /** A request has come, whose headers are read; returns when (`performance.now()`). */
  begun(on: Unanswered): number {
    on.unanswered = (on.unanswered ?? 0) + 1;
    this.inFlight++;
    return performance.now();
  }

  /** The connection or the stream is no more. */
  ended(on: Unanswered): void {
    this.aborted += on.unanswered ?? 0;
    this.inFlight -= on.unanswered ?? 0;
    on.unanswered = 0;
  }

  /** A stream of HTTP/2 was refused, because as many were open as connections may be. */
  noteRefusedStream(): void {
    this.connectionsDropped++;
  }

  /** Its answer is complete; `durationMs` after the headers. */
  answered(
    on: Unanswered,
    route: number,
    status: number,
    durationMs: number,
    problem: ProblemCode | undefined,
  ): void {
    // The connection ended first: it counts as aborted by now.
    if (!on.unanswered) return;
    on.unanswered--;
    this.inFlight--;
    const counts = this.routes[route];
    counts.answers[status - STATUS_MIN]++;
    counts.durations.observe(durationMs);
    if (problem !== undefined) this.#noteProblem(problem, counts);
  }

  /** What could not be read as a request was answered on its bare socket. */
  refused(status: number, problem: ProblemCode): void {
    const counts = this.routes[UNROUTED];
    counts.answers[status - STATUS_MIN]++;
    this.#noteProblem(problem, counts);
  }

  /** Calls `visit` for each status that `counts` has answers with. */
  eachStatus({ answers }: RouteCounts, visit: (status: number, count: number) => void): void {
    for (let i = 0; i < STATUSES; i++) if (answers[i] > 0) visit(i + STATUS_MIN, answers[i]);
  }

  #noteProblem(code: ProblemCode, { takesEvents }: RouteCounts): void {
    this.problems.set(code, (this.problems.get(code) ?? 0) + 1);
    if (takesEvents) this.eventProblems.set(code, (this.eventProblems.get(code) ?? 0) + 1);
  }
}
