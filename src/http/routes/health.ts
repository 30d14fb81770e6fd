/** `GET /health`: says that the process answers, and nothing more. Main thread. */
import type { FastifyInstance } from 'fastify';
import { sendJson } from '../respond.ts';

export function healthRoute(app: FastifyInstance): void {
  app.get(
    '/health',
    { schema: { summary: 'Whether the process answers', tags: ['Probes'] } },
    (_request, reply) => {
      sendJson(reply, 200, '{"status":"healthy"}');
    },
  );
}
