/**
 * Offers the single event of a request to the intake and answers what is decided at once; the rest
 * its waiter answers. All routes that write one event share this. Main thread; the hot path.
 */

import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ProblemCode } from '../../errors/problems.ts';
import { fingerprintKey } from '../../event/fingerprint.ts';
import type { ProductEvent } from '../../event/product-event.ts';
import type { AckLevel, EventIntake, EventWaiter, Offer } from '../../intake/event-intake.ts';
import { retryOnLaterTurns } from '../../later-turns.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import { type AckRaisedBy, PendingAck, PendingApplied } from '../answers/pending-ack.ts';
import { isGone, sendJson, sendProblem } from '../answers/respond.ts';
import { sendClosed } from '../guards/phase-guard.ts';
import {
  conditionName,
  expectedSeqOf,
  hasCondition,
  refusedCondition,
} from '../requests/conditions.ts';
import { idempotencyKeyOf, refusedIdempotencyKey } from '../requests/idempotency-key.ts';
import type { BatchKeysKnown } from '../seams/batches.ts';
import type { EventOutcomes } from '../seams/event-outcomes.ts';
import { TracedWaiter } from './traced-waiter.ts';

export interface EventOfferDeps {
  readonly intake: EventIntake;
  /** The keys of batches, which no single event may come under. */
  readonly batches: BatchKeysKnown;
  readonly lifecycle: Lifecycle;
  readonly outcomes: EventOutcomes;
  /** What a write is answered with when the request does not ask. */
  readonly ackDefault: AckLevel;
}

export class EventOffers {
  readonly #deps: EventOfferDeps;

  constructor(deps: EventOfferDeps) {
    this.#deps = deps;
  }

  /**
   * Submits `event`, valid but for the headers of `request`, which may add a condition and a key.
   * `eventId` is the event's own key; it takes the place of the header's. `ack` is the level that
   * the request asks for.
   */
  submit(
    request: FastifyRequest,
    reply: FastifyReply,
    event: ProductEvent,
    ack: AckLevel | undefined,
    eventId: string | undefined,
  ): void {
    const { headers } = request;
    const { ackDefault } = this.#deps;
    if (
      eventId === undefined &&
      headers['idempotency-key'] === undefined &&
      !hasCondition(headers)
    ) {
      this.#offer(event, ack ?? ackDefault, reply);
      return;
    }
    if (refusedIdempotencyKey(request, reply) || refusedCondition(request, reply)) return;
    const expectedSeq = expectedSeqOf(request);
    const requestKey = idempotencyKeyOf(request);
    let key: Int32Array | undefined;
    if (eventId !== undefined) key = fingerprintKey('event', eventId);
    else if (requestKey !== undefined) {
      key = fingerprintKey('request', requestKey);
      const known = this.#deps.batches.hasKey(key);
      if (known === 'busy') {
        // The log thread died just then; its successor knows.
        this.#refuse(reply, 'storage-unavailable');
        return;
      }
      if (known) {
        const detail = 'A batch came before under this Idempotency-Key.';
        sendProblem(reply, 'idempotency-conflict', { detail, outcome: 'none' });
        return;
      }
    }

    if (expectedSeq !== undefined && (ack ?? 'applied') !== 'applied') {
      const name = conditionName(expectedSeq);
      const detail = `With ${name}, ack must be applied or left out: only then it is decided.`;
      sendProblem(reply, 'invalid-parameter', { detail, outcome: 'none' });
      return;
    }
    let level = expectedSeq === undefined ? (ack ?? ackDefault) : 'applied';
    // Whether it is a repetition is known when it is durable, and not before.
    let raisedBy: AckRaisedBy | undefined;
    if (key !== undefined && level === 'accepted') {
      level = 'durable';
      raisedBy = eventId === undefined ? 'idempotency-key' : 'event_id';
    }
    this.#offer({ ...event, expectedSeq, key }, level, reply, raisedBy);
  }

  #offer(
    event: ProductEvent,
    level: AckLevel,
    reply: FastifyReply,
    raisedBy?: AckRaisedBy | undefined,
  ): void {
    const waiter = this.#waiterFor(level, reply, event, raisedBy);
    const answer = this.#deps.intake.offer(event, waiter);
    if (answer === 'queued' && waiter !== undefined) return;
    if (answer === 'undecided') this.#offerAgain(event, waiter, reply);
    else this.#settle(answer, event, waiter, reply);
  }

  #waiterFor(
    level: AckLevel,
    reply: FastifyReply,
    event: ProductEvent,
    raisedBy: AckRaisedBy | undefined,
  ): EventWaiter | undefined {
    const waiter = this.#untracedWaiterFor(level, reply, event, raisedBy);
    const { trace } = reply.request;
    if (trace === undefined || waiter === undefined) return waiter;
    return new TracedWaiter(trace, waiter);
  }

  #untracedWaiterFor(
    level: AckLevel,
    reply: FastifyReply,
    event: ProductEvent,
    raisedBy: AckRaisedBy | undefined,
  ): EventWaiter | undefined {
    const { intake, outcomes } = this.#deps;
    if (level === 'durable') return new PendingAck(reply, event.productId, intake, raisedBy);
    if (level === 'applied') return new PendingApplied(reply, event, intake, outcomes);
    return undefined;
  }

  /** For a product that may find room once events in flight are known to be for it. */
  #offerAgain(event: ProductEvent, waiter: EventWaiter | undefined, reply: FastifyReply): void {
    retryOnLaterTurns(
      () => {
        if (isGone(reply)) return true; // nobody is left to answer, and it is not queued
        const answer = this.#deps.intake.offer(event, waiter);
        if (answer === 'undecided') return false;
        this.#settle(answer, event, waiter, reply);
        return true;
      },
      () => this.#refuse(reply, 'queue-full'),
      (error) => reply.send(error),
    );
  }

  /** Answers what is decided; a queued event with a waiter is answered by that. */
  #settle(
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
      sendClosed(this.#deps.lifecycle, reply);
    } else {
      this.#refuse(reply, answer);
    }
  }

  #refuse(
    reply: FastifyReply,
    code: ProblemCode & ('queue-full' | 'store-full' | 'storage-unavailable'),
  ): void {
    const seconds = code === 'store-full' ? undefined : this.#deps.intake.retryAfterSeconds();
    sendProblem(reply, code, { outcome: 'none' }, seconds);
  }
}
