/**
 * `GET /metrics`: what the service counts and measures, for Prometheus: in OpenMetrics where Accept
 * prefers that, else as Prometheus text, which is also for those who name neither. Main thread.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { isGone, sendText } from '../answers/respond.ts';
import { OPEN_POLICY, type RoutePolicy } from '../guards/route-policy.ts';
import { preferredType } from '../requests/accept.ts';
import { ACCESS_PROBLEMS, ANY_PROBLEMS, problemResponses } from '../schemas/problem.ts';
import type { Figures } from '../seams/figures.ts';

const POLICY: RoutePolicy = { ...OPEN_POLICY, access: 'admin', rate: 'none' };

const EXAMPLE = [
  '# HELP product_service_durable_seq Number of the last durable event',
  '# TYPE product_service_durable_seq gauge',
  'product_service_durable_seq 1042',
].join('\n');

const FORMS = ['text/plain', 'application/openmetrics-text'] as const;
const CONTENT_TYPES = {
  'text/plain': 'text/plain; version=0.0.4; charset=utf-8',
  'application/openmetrics-text': 'application/openmetrics-text; version=1.0.0; charset=utf-8',
} as const;

export function metricsRoute(app: FastifyInstance, metrics: Pick<Figures, 'text'>): void {
  app.get(
    '/metrics',
    {
      config: { policy: POLICY },
      schema: {
        operationId: 'getMetrics',
        summary: 'Counters, gauges and histograms for Prometheus',
        description:
          'As Prometheus text, or as OpenMetrics if Accept prefers that. There is no such route with METRICS=false.',
        tags: ['Administration'],
        response: {
          200: {
            description: 'All of them, as of now.',
            content: Object.fromEntries(
              FORMS.map((form) => [form, { schema: Type.String(), example: EXAMPLE }]),
            ),
          },
          ...problemResponses(...ANY_PROBLEMS, ...ACCESS_PROBLEMS, 'route-not-found'),
        },
      },
    },
    (request, reply) => {
      const form = preferredType(request.headers.accept, FORMS) ?? FORMS[0];
      metrics.text(form).then(
        (text) => {
          if (!isGone(reply)) sendText(reply, CONTENT_TYPES[form], text);
        },
        (error) => reply.send(error),
      );
    },
  );
}
