/**
 * `GET /readyz`: whether to send traffic here. Green only once replay is done, before any stop, and
 * while the log can be written. Main thread.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance } from 'fastify';
import type { ProblemCode, ProblemExtras } from '../../errors/problems.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import { sendJson, sendProblem } from '../answers/respond.ts';
import { PROBE_POLICY } from '../guards/route-policy.ts';
import { ANY_PROBLEMS, problemResponses } from '../schemas/problem.ts';
import { jsonResponse } from '../schemas/response.ts';

export function readyzRoute(app: FastifyInstance, lifecycle: Lifecycle): void {
  app.get(
    '/readyz',
    {
      config: { policy: PROBE_POLICY },
      schema: {
        operationId: 'getReadiness',
        summary: 'Whether to send traffic here',
        description:
          'Red until the log is replayed, while it can not be written, and from the stop on; reads go on meanwhile.',
        tags: ['Probes'],
        response: {
          200: jsonResponse('It is ready.', Type.Object({ status: Type.Literal('ready') }), {
            status: 'ready',
          }),
          ...problemResponses(...ANY_PROBLEMS, 'not-ready', 'stopping', 'storage-unavailable'),
        },
      },
    },
    (_request, reply) => {
      const obstacle = obstacleOf(lifecycle);
      if (obstacle === undefined) sendJson(reply, 200, '{"status":"ready"}');
      else sendProblem(reply, obstacle, progressOf(lifecycle));
    },
  );
}

function obstacleOf({ phase, storageAvailable }: Lifecycle): ProblemCode | undefined {
  if (phase === 'starting') return 'not-ready';
  if (phase !== 'ready') return 'stopping';
  return storageAvailable ? undefined : 'storage-unavailable';
}

/** Says how far a long start has come. */
function progressOf({ phase, replayedPercent }: Lifecycle): ProblemExtras | undefined {
  if (phase !== 'starting' || replayedPercent === undefined) return undefined;
  return { detail: `The service is starting: ${replayedPercent} % of the log is replayed.` };
}
