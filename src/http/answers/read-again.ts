/** Reads of the store that meet an entry that a writer holds. Main thread. */
import type { FastifyReply } from 'fastify';
import { retryOnLaterTurns } from '../../later-turns.ts';
import { isGone, sendProblem } from './respond.ts';

const RETRY_AFTER_SECONDS = 1;

/**
 * Reads on later turns of the event loop, after a first `attempt` was in vain: it answers and returns true, or
 * returns false while a writer holds what it reads. Answers 503 if that lasts; nothing once the client is gone.
 */
export function readAgain(reply: FastifyReply, attempt: () => boolean): void {
  retryOnLaterTurns(
    () => isGone(reply) || attempt(),
    () => sendProblem(reply, 'read-contention', undefined, RETRY_AFTER_SECONDS),
    (error) => reply.send(error),
  );
}
