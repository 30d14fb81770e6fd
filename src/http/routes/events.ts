/**
 * `POST /api/v1/events`: validates one event, offers it to the intake and answers when its fate is
 * known. Main thread; the hot path: no promise, one small object per pending reply.
 */
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ProblemCode } from '../../errors/problems.ts';
import type {
  AckLevel,
  EventIntake,
  EventWaiter,
  Offer,
  ProductEvent,
} from '../../intake/event-intake.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import { acceptJson, refusedMedia } from '../json-body.ts';
import { retryOnLaterTurns } from '../later-turns.ts';
import { refusedWrite, sendClosed } from '../phase-guard.ts';
import { isGone, sendJson, sendProblem } from '../respond.ts';
import { eventFaults, futureFaults, isTooFarAhead } from '../schemas/event-faults.ts';
import { productEventBody, toProductEvent } from '../schemas/product-event.ts';
import { queryFault, writeQuery } from '../schemas/write-query.ts';

export interface EventRouteDeps {
  readonly intake: EventIntake;
  readonly lifecycle: Lifecycle;
  readonly applied: AppliedEvents;
  readonly ackDefault: AckLevel;
}

/** The seam to the appliers: what a write that asks for `ack=applied` needs of them. */
export interface AppliedEvents {
  /** Calls `onApplied` once the durable event `seq` is applied or set aside. */
  whenApplied(seq: number, onApplied: () => void): void;
  /** Whether `seq` was set aside, because it killed its applier twice. */
  isSetAside(seq: number): boolean;
}

/** A reply that waits for the log thread. */
class PendingAck implements EventWaiter {
  readonly #reply: FastifyReply;
  readonly #productId: string;
  readonly #intake: EventIntake;

  constructor(reply: FastifyReply, productId: string, intake: EventIntake) {
    this.#reply = reply;
    this.#productId = productId;
    this.#intake = intake;
  }

  durable(seq: number): void {
    this.answer(202, 'durable', seq);
  }

  protected answer(status: number, level: AckLevel, seq: number): void {
    if (isGone(this.#reply)) return;
    const id = JSON.stringify(this.#productId);
    sendJson(this.#reply, status, `{"status":"${level}","product_id":${id},"seq":${seq}}`);
  }

  protected setAside(seq: number): void {
    if (isGone(this.#reply)) return;
    const detail = `The event is durable as seq ${seq}, but it could not be applied.`;
    sendProblem(this.#reply, 'event-set-aside', { detail });
  }

  conflict(): void {
    if (!isGone(this.#reply)) sendProblem(this.#reply, 'idempotency-conflict', { outcome: 'none' });
  }

  failed(outcome: 'none' | 'unknown'): void {
    if (isGone(this.#reply)) return;
    const seconds = this.#intake.retryAfterSeconds();
    sendProblem(this.#reply, 'storage-unavailable', { outcome }, seconds);
  }
}

/** A reply that waits for the appliers, too. */
class PendingApplied extends PendingAck {
  readonly #applied: AppliedEvents;

  constructor(reply: FastifyReply, productId: string, intake: EventIntake, applied: AppliedEvents) {
    super(reply, productId, intake);
    this.#applied = applied;
  }

  override durable(seq: number): void {
    this.#applied.whenApplied(seq, () => {
      if (this.#applied.isSetAside(seq)) this.setAside(seq);
      else this.answer(200, 'applied', seq);
    });
  }
}

export function eventRoutes(app: FastifyInstance, deps: EventRouteDeps): void {
  const { intake, lifecycle, applied, ackDefault } = deps;
  acceptJson(app);

  app.withTypeProvider<TypeBoxTypeProvider>().route({
    method: 'POST',
    url: '/api/v1/events',
    schema: { body: productEventBody, querystring: writeQuery },
    attachValidation: true,
    onRequest: (request, reply, done) => {
      if (!refusedWrite(lifecycle, reply) && !refusedMedia(request, reply)) done();
    },
    handler: (request, reply) => {
      const { body, validationError } = request;
      if (validationError !== undefined) {
        if (validationError.validationContext === 'querystring') {
          const detail = queryFault(validationError.validation);
          return sendProblem(reply, 'invalid-parameter', { detail, outcome: 'none' });
        }
        if (body === undefined) return sendProblem(reply, 'empty-body');
        const errors = eventFaults(body, validationError.validation, Date.now());
        return sendProblem(reply, 'invalid-event', { errors });
      }
      const event = toProductEvent(body);
      if (isTooFarAhead(event.occurredAtMs, Date.now())) {
        return sendProblem(reply, 'invalid-event', { errors: futureFaults() });
      }
      offer(event, request.query.ack ?? ackDefault, reply);
    },
  });

  function waiterFor(
    level: AckLevel,
    reply: FastifyReply,
    productId: string,
  ): EventWaiter | undefined {
    if (level === 'durable') return new PendingAck(reply, productId, intake);
    if (level === 'applied') return new PendingApplied(reply, productId, intake, applied);
    return undefined;
  }

  function offer(event: ProductEvent, level: AckLevel, reply: FastifyReply): void {
    const waiter = waiterFor(level, reply, event.productId);
    const answer = intake.offer(event, waiter);
    if (answer === 'queued' && waiter !== undefined) return;
    if (answer === 'undecided') offerAgain(event, waiter, reply);
    else settle(answer, event, waiter, reply);
  }

  /** For a product that may find its room when events in flight have told who they are. */
  function offerAgain(
    event: ProductEvent,
    waiter: EventWaiter | undefined,
    reply: FastifyReply,
  ): void {
    retryOnLaterTurns(
      () => {
        if (isGone(reply)) return true; // nobody would hear of it, and it is not queued
        const answer = intake.offer(event, waiter);
        if (answer === 'undecided') return false;
        settle(answer, event, waiter, reply);
        return true;
      },
      () => refuse(reply, 'queue-full'),
      (error) => reply.send(error),
    );
  }

  /** Answers what is decided; a queued event with a waiter is answered by that. */
  function settle(
    answer: Exclude<Offer, 'undecided'>,
    event: ProductEvent,
    waiter: EventWaiter | undefined,
    reply: FastifyReply,
  ): void {
    if (answer === 'queued') {
      if (waiter !== undefined) return;
      const id = JSON.stringify(event.productId);
      sendJson(reply, 202, `{"status":"accepted","product_id":${id}}`);
    } else if (answer === 'closed') {
      sendClosed(lifecycle, reply);
    } else {
      refuse(reply, answer);
    }
  }

  function refuse(
    reply: FastifyReply,
    code: ProblemCode & ('queue-full' | 'store-full' | 'storage-unavailable'),
  ): void {
    const seconds = code === 'store-full' ? undefined : intake.retryAfterSeconds();
    sendProblem(reply, code, { outcome: 'none' }, seconds);
  }
}
