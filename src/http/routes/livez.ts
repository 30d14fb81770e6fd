/**
 * `GET /livez`: whether to restart the process. Green while it replays and while it drains, for a
 * restart would only make either longer. Main thread.
 */
import type { FastifyInstance } from 'fastify';
import { sendJson } from '../respond.ts';

export function livezRoute(app: FastifyInstance): void {
  app.get(
    '/livez',
    { schema: { summary: 'Whether to restart the process', tags: ['Probes'] } },
    (_request, reply) => {
      sendJson(reply, 200, '{"status":"alive"}');
    },
  );
}
