/** The form of an answer that a client takes, or the answer that there is none. Main thread. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { preferredType } from '../requests/accept.ts';
import { sendProblem } from './respond.ts';

/** Which of `forms`, the first one being the service's choice; `undefined` = none, and that is answered. */
export function acceptedForm<T extends string>(
  request: FastifyRequest,
  reply: FastifyReply,
  forms: readonly T[],
): T | undefined {
  const form = preferredType(request.headers.accept, forms);
  if (form === undefined) {
    const detail = `This path answers with ${forms.join(' or ')}.`;
    sendProblem(reply, 'not-acceptable', { detail });
  }
  return form;
}
