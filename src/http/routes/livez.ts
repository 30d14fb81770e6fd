/**
 * `GET /livez`: whether to restart the process. Green while it replays and while it drains, for a
 * restart would only make either longer. Main thread.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { sendJson } from '../answers/respond.ts';
import { PROBE_POLICY } from '../guards/route-policy.ts';
import { ANY_PROBLEMS, problemResponses } from '../schemas/problem.ts';
import { jsonResponse } from '../schemas/response.ts';

export function livezRoute(app: FastifyInstance): void {
  app.get(
    '/livez',
    {
      config: { policy: PROBE_POLICY },
      schema: {
        operationId: 'getLiveness',
        summary: 'Whether to restart the process',
        description: 'Stays green while the service starts and while it stops.',
        tags: ['Probes'],
        response: {
          200: jsonResponse('It lives.', Type.Object({ status: Type.Literal('alive') }), {
            status: 'alive',
          }),
          ...problemResponses(...ANY_PROBLEMS),
        },
      },
    },
    (_request, reply) => {
      sendJson(reply, 200, '{"status":"alive"}');
    },
  );
}
