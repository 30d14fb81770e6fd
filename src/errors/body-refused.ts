/** A body that is refused while it is read. Main thread. */
import { PROBLEMS, type ProblemCode } from './problems.ts';

/** A refusal on its way through Fastify's error channel to the error handler. */
export class BodyRefused extends Error {
  override readonly name = 'BodyRefused';
  readonly code: ProblemCode;

  constructor(code: ProblemCode, detail: string = PROBLEMS[code].detail) {
    super(detail);
    this.code = code;
  }
}
