/**
 * Replies that wait for the outcome of their event: one small object each, no promise. Main thread.
 */

import type { FastifyReply } from 'fastify';
import type { ProductEvent } from '../../event/product-event.ts';
import type { AckLevel, EventIntake, EventWaiter } from '../../intake/event-intake.ts';
import { conditionName } from '../requests/conditions.ts';
import type { EventOutcomes } from '../seams/event-outcomes.ts';
import { isGone, noteEvent, sendAck, sendProblem } from './respond.ts';

/** What makes ack=accepted durable: whether an event with a key is new is known only then. */
export type AckRaisedBy = 'event_id' | 'idempotency-key';

/** Waits for the log thread: 202 once the event is durable. */
export class PendingAck implements EventWaiter {
  protected readonly reply: FastifyReply;
  readonly #productId: string;
  readonly #intake: EventIntake;
  readonly #raisedBy: AckRaisedBy | undefined;

  /** `raisedBy`: why it waits, where less was asked for. */
  constructor(
    reply: FastifyReply,
    productId: string,
    intake: EventIntake,
    raisedBy?: AckRaisedBy | undefined,
  ) {
    this.reply = reply;
    this.#productId = productId;
    this.#intake = intake;
    this.#raisedBy = raisedBy;
  }

  durable(seq: number, isReplayed = false): void {
    if (!isGone(this.reply)) sendAck(this.reply, 202, this.json('durable', seq), seq, isReplayed);
  }

  protected json(level: AckLevel, seq: number): string {
    const why = this.#raisedBy === undefined ? '' : `,"ack_raised_by":"${this.#raisedBy}"`;
    const id = JSON.stringify(this.#productId);
    return `{"status":"${level}","product_id":${id},"seq":${seq}${why}}`;
  }

  conflict(): void {
    if (!isGone(this.reply)) sendProblem(this.reply, 'idempotency-conflict', { outcome: 'none' });
  }

  noRoom(): void {
    if (!isGone(this.reply)) sendProblem(this.reply, 'store-full', { outcome: 'none' });
  }

  failed(outcome: 'none' | 'unknown'): void {
    if (isGone(this.reply)) return;
    const seconds = this.#intake.retryAfterSeconds();
    sendProblem(this.reply, 'storage-unavailable', { outcome }, seconds);
  }
}

/** Waits for the appliers, too, and answers with what they made of the event. */
export class PendingApplied extends PendingAck {
  readonly #event: ProductEvent;
  readonly #outcomes: EventOutcomes;

  constructor(
    reply: FastifyReply,
    event: ProductEvent,
    intake: EventIntake,
    outcomes: EventOutcomes,
  ) {
    super(reply, event.productId, intake);
    this.#event = event;
    this.#outcomes = outcomes;
  }

  override durable(seq: number, isReplayed = false): void {
    this.#outcomes.whenApplied(seq, () => {
      if (!isGone(this.reply)) this.#answer(seq, isReplayed);
    });
  }

  #answer(seq: number, isReplayed: boolean): void {
    const { reply } = this;
    const outcome = this.#outcomes.outcomeOf(seq);
    if (outcome === 'applied') {
      // A delist leaves nothing behind that could have a tag.
      const etag = this.#event.isDelete === true ? undefined : `"${seq}"`;
      sendAck(reply, 200, this.json('applied', seq), seq, isReplayed, etag);
    } else if (outcome === 'refused') {
      this.#refuse('precondition-failed', seq, isReplayed);
    } else if (outcome === 'dead') {
      this.#refuse('event-dead', seq, isReplayed);
    } else if (outcome === 'expired' && this.#event.expectedSeq !== undefined) {
      // A repetition so late that it is no longer known whether the condition held.
      this.#refuse('outcome-expired', seq, isReplayed);
    } else {
      const json = `${this.json('applied', seq).slice(0, -1)},"outcome":"${outcome}"}`;
      sendAck(reply, 200, json, seq, isReplayed);
    }
  }

  #refuse(code: keyof typeof DETAILS, seq: number, isReplayed: boolean): void {
    noteEvent(this.reply, seq, isReplayed);
    const rest = DETAILS[code](conditionName(this.#event.expectedSeq));
    sendProblem(this.reply, code, { detail: `The event is durable as seq ${seq}, ${rest}` });
  }
}

const DETAILS = {
  'precondition-failed': (name: string) => `but its ${name} did not hold, so it changed nothing.`,
  'event-dead': () => 'but it could not be applied.',
  'outcome-expired': (name: string) =>
    `but it is no longer known whether its ${name} held; read the product.`,
} as const;
