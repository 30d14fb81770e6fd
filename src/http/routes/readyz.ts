/**
 * `GET /readyz`: whether to send traffic here. Green only once replay is done, before any stop, while
 * the log can be written and as long as every thread that has work makes progress. `?verbose` shows
 * each of these. Main thread.
 */
import { Type } from '@sinclair/typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ProblemCode, ProblemExtras } from '../../errors/problems.ts';
import type { HealthCheck, Lifecycle } from '../../lifecycle.ts';
import { isGone, sendJson, sendProblem } from '../answers/respond.ts';
import { PROBE_POLICY } from '../guards/route-policy.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { ANY_PROBLEMS, healthCheck, problemResponses } from '../schemas/problem.ts';
import { jsonResponse } from '../schemas/response.ts';

const readySchema = Type.Object({
  status: Type.Literal('ready'),
  checks: Type.Optional(Type.Array(healthCheck, { description: 'With `verbose`.' })),
});

interface ReadyzQuery {
  readonly verbose?: unknown;
  readonly for?: 'reads' | 'writes';
}

export function readyzRoute(app: FastifyInstance, lifecycle: Lifecycle): void {
  app.route<{ Querystring: ReadyzQuery }>({
    method: 'GET',
    url: '/readyz',
    config: { policy: PROBE_POLICY },
    ...describedOnly,
    schema: {
      operationId: 'getReadiness',
      summary: 'Whether to send traffic here',
      description:
        'Red until the log is replayed, while it can not be written, while a thread makes no progress ' +
        'although events wait for it, and from the stop on; reads go on meanwhile. A reader of a cluster is green while it serves reads.',
      tags: ['Probes'],
      querystring: Type.Object({
        verbose: Type.Optional(
          Type.String({ description: 'Each check with its state, whatever the value.' }),
        ),
        for: Type.Optional(
          Type.Union([Type.Literal('reads'), Type.Literal('writes')], {
            description:
              'What is to be sent here; `reads` are answered while the log can not be written, too.',
          }),
        ),
      }),
      response: {
        200: jsonResponse('It is ready.', readySchema, { status: 'ready' }),
        ...problemResponses(
          ...ANY_PROBLEMS,
          'not-ready',
          'stopping',
          'storage-unavailable',
          'stalled',
        ),
      },
    },
    handler: (request, reply) => {
      const { verbose, for: traffic } = request.query;
      const isForReads = traffic === 'reads' || (lifecycle.isReader && traffic === undefined);
      if (verbose === undefined) {
        answer(reply, lifecycle, isForReads, undefined);
        return;
      }
      const checks = lifecycle.checks();
      if (!(checks instanceof Promise)) {
        answer(reply, lifecycle, isForReads, checks);
        return;
      }
      checks.then(
        (all) => {
          if (!isGone(reply)) answer(reply, lifecycle, isForReads, all);
        },
        (error: unknown) => reply.send(error),
      );
    },
  });
}

function answer(
  reply: FastifyReply,
  lifecycle: Lifecycle,
  isForReads: boolean,
  checks: readonly HealthCheck[] | undefined,
): void {
  const obstacle = obstacleOf(lifecycle, isForReads);
  const shown = checks === undefined ? {} : { checks };
  if (obstacle === undefined) sendJson(reply, 200, JSON.stringify({ status: 'ready', ...shown }));
  else sendProblem(reply, obstacle, { ...detailOf(lifecycle, obstacle), ...shown });
}

function obstacleOf(
  { phase, isReader, storageAvailable, stalled }: Lifecycle,
  isForReads: boolean,
): ProblemCode | undefined {
  if (phase === 'starting') return 'not-ready';
  if (phase !== 'ready') return 'stopping';
  if (isForReads) return undefined;
  if (isReader || !storageAvailable) return 'storage-unavailable';
  return stalled === undefined ? undefined : 'stalled';
}

/** Says how far a long start has come, or who is stalled. */
function detailOf(lifecycle: Lifecycle, obstacle: ProblemCode): ProblemExtras {
  const { isReader, replayedPercent, stalled } = lifecycle;
  if (obstacle === 'storage-unavailable' && isReader) {
    return { detail: 'This instance takes no writes (ROLE=reader).' };
  }
  if (obstacle === 'stalled' && stalled !== undefined) return { detail: stalled };
  if (obstacle !== 'not-ready' || replayedPercent === undefined) return {};
  return { detail: `The service is starting: ${replayedPercent} % of the log is replayed.` };
}
