/** Answers with what the history's thread says. Main thread. */
import type { FastifyReply } from 'fastify';
import { isGone, sendProblem } from './respond.ts';

const RETRY_AFTER_SECONDS = 1;

/** Calls `send` with what `asked` resolves to; answers 503 where the history can't be read. */
export function askHistory<T>(
  reply: FastifyReply,
  asked: Promise<T>,
  send: (found: T) => void,
): void {
  asked
    .then((found) => {
      if (!isGone(reply)) send(found);
    })
    .catch((error: unknown) => {
      if (isGone(reply)) return;
      if (isUnavailable(error)) {
        sendProblem(reply, 'history-unavailable', undefined, RETRY_AFTER_SECONDS);
      } else {
        reply.send(error);
      }
    });
}

/** The error is recognised by its name: its class comes with the history's threads, which may be off. */
function isUnavailable(error: unknown): boolean {
  return error instanceof Error && error.name === 'HistoryUnavailableError';
}
