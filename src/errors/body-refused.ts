/** A body that is refused while it is read. Main thread. */
import { PROBLEMS, type ProblemCode } from './problems.ts';

/** A refusal on its way through Fastify's error channel to the error handler. */
export class BodyRefused extends Error {
  override readonly name = 'BodyRefused';
  readonly code: ProblemCode;
  /** Whole seconds (≥ 1) after which another try is worth it, where that is known. */
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ProblemCode, detail?: string, retryAfterSeconds?: number) {
    super(detail ?? PROBLEMS[code].detail);
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}
