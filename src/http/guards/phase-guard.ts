/**
 * Refuses work that the present phase of the service does not take. Main thread; reads the
 * lifecycle that `service.ts` writes.
 */
import type { FastifyReply } from 'fastify';
import type { Lifecycle } from '../../lifecycle.ts';
import { sendProblem } from '../answers/respond.ts';

/** Seconds named in `Retry-After` while starting or stopping; nothing measures these. */
const PHASE_RETRY_AFTER_SECONDS = 1;

/**
 * Answers 503 and returns true if reads are refused: until replay is done, in a stop that came before
 * that, and after any stop.
 */
export function refusedRead(lifecycle: Lifecycle, reply: FastifyReply): boolean {
  const { phase, wasReady } = lifecycle;
  if (phase === 'starting') {
    sendProblem(reply, 'not-ready', undefined, PHASE_RETRY_AFTER_SECONDS);
    return true;
  }
  if (phase === 'stopped' || !wasReady) {
    sendProblem(reply, 'stopping', undefined, PHASE_RETRY_AFTER_SECONDS);
    return true;
  }
  return false;
}

/**
 * Answers 503 and returns true if reads that take their time are refused: as other reads are, and
 * while stopping, so that none of them holds up the end.
 */
export function refusedWait(lifecycle: Lifecycle, reply: FastifyReply): boolean {
  if (lifecycle.phase !== 'stopping') return refusedRead(lifecycle, reply);
  sendProblem(reply, 'stopping', undefined, PHASE_RETRY_AFTER_SECONDS);
  return true;
}

/** Whether nothing that takes its time begins any more. */
export function isStopping({ phase }: Lifecycle): boolean {
  return phase === 'stopping' || phase === 'stopped';
}

/**
 * Answers and returns true if writes are refused: 405 by an instance that takes none, with the methods that the
 * path has besides (`reading`); 503 while starting, stopping and stopped.
 */
export function refusedWrite(
  lifecycle: Lifecycle,
  reply: FastifyReply,
  reading: readonly string[],
): boolean {
  const { phase, isReader } = lifecycle;
  if (isReader) {
    // Empty where it has none (RFC 9110, section 10.2.1).
    reply.header('allow', reading.join(', '));
    sendProblem(reply, 'read-only', { outcome: 'none' });
    return true;
  }
  if (phase === 'ready' || phase === 'draining') return false;
  sendClosed(lifecycle, reply);
  return true;
}

/** Answers a write that the intake found closed; the event was not taken. */
export function sendClosed(lifecycle: Lifecycle, reply: FastifyReply): void {
  const code = lifecycle.phase === 'starting' ? 'not-ready' : 'stopping';
  sendProblem(reply, code, { outcome: 'none' }, PHASE_RETRY_AFTER_SECONDS);
}
