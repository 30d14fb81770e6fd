/** `GET /health`: says that the process answers, and nothing more. Main thread. */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import { sendJson } from '../answers/respond.ts';
import { PROBE_POLICY } from '../guards/route-policy.ts';
import { ANY_PROBLEMS, problemResponses } from '../schemas/problem.ts';
import { jsonResponse } from '../schemas/response.ts';

export function healthRoute(app: FastifyInstance): void {
  app.get(
    '/health',
    {
      config: { policy: PROBE_POLICY },
      schema: {
        operationId: 'getHealth',
        summary: 'Whether the process answers',
        description: 'Says nothing else; see `/livez` and `/readyz`.',
        tags: ['Probes'],
        response: {
          200: jsonResponse('It answers.', Type.Object({ status: Type.Literal('healthy') }), {
            status: 'healthy',
          }),
          ...problemResponses(...ANY_PROBLEMS),
        },
      },
    },
    (_request, reply) => {
      sendJson(reply, 200, '{"status":"healthy"}');
    },
  );
}
