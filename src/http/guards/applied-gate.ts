/**
 * Read your writes: lets a read through once a given event is applied, or answers 503 in its place.
 * Main thread. What waits is bounded by the connections: a request is one waiter and one timer.
 */
import type { FastifyReply } from 'fastify';
import type { Lifecycle } from '../../lifecycle.ts';
import { sendProblem } from '../answers/respond.ts';
import type { WaitQuery } from '../schemas/product-query.ts';
import type { AppliedProgress, AppliedWaiter } from '../seams/applied-progress.ts';
import { refusedWait } from './phase-guard.ts';

/** How often a waiting read looks whether the service is stopping. */
const LOOK_MS = 250;
const RETRY_AFTER_SECONDS = 1;

export class AppliedGate {
  readonly #watermark: AppliedProgress;
  readonly #lifecycle: Lifecycle;

  constructor(watermark: AppliedProgress, lifecycle: Lifecycle) {
    this.#watermark = watermark;
    this.#lifecycle = lifecycle;
  }

  /**
   * Calls `read` once all events up to `minSeq` are applied: before this returns if they are. After
   * `waitMs`, or when the service stops, the reply is a 503; when the client goes, nothing more.
   * What `read` throws becomes the answer.
   */
  pass({ minSeq, waitMs }: WaitQuery, reply: FastifyReply, read: () => void): void {
    if (minSeq === 0 || this.#watermark.seq >= minSeq) read();
    else this.#wait(minSeq, performance.now() + waitMs, reply, read);
  }

  #wait(minSeq: number, deadlineMs: number, reply: FastifyReply, read: () => void): void {
    const watermark = this.#watermark;
    let timer: NodeJS.Timeout | undefined;
    let waiter: AppliedWaiter | undefined;
    const giveUp = (): void => {
      clearTimeout(timer);
      reply.raw.off('close', giveUp);
      if (waiter !== undefined) watermark.cancel(waiter);
    };
    // Everything it uses stands above: the event may be applied by now, and then it is called at once.
    waiter = watermark.whenApplied(minSeq, () => {
      giveUp();
      try {
        read();
      } catch (error) {
        reply.send(error);
      }
    });
    if (waiter === undefined) return;
    const look = (): void => {
      const leftMs = deadlineMs - performance.now();
      if (refusedWait(this.#lifecycle, reply)) {
        giveUp();
      } else if (leftMs <= 0) {
        giveUp();
        const detail = `Event ${minSeq} is not applied yet; all up to ${watermark.seq} are.`;
        sendProblem(reply, 'not-yet-applied', { detail }, RETRY_AFTER_SECONDS);
      } else {
        timer = setTimeout(look, Math.min(leftMs, LOOK_MS));
      }
    };
    reply.raw.once('close', giveUp);
    look();
  }
}
