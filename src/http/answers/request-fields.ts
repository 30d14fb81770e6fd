/** What every line of the log about a request has: its id, and its trace if it has one. Main thread. */
import type { FastifyRequest } from 'fastify';
import { traceIdOf } from '../requests/trace-parent.ts';

export interface RequestFields {
  readonly reqId: string;
  readonly trace_id?: string;
}

export function requestFields({ id, headers, trace }: FastifyRequest): RequestFields {
  const traceId = trace?.traceId ?? traceIdOf(headers);
  return { reqId: String(id), ...(traceId === undefined ? {} : { trace_id: traceId }) };
}
