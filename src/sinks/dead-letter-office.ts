/**
 * What operators do with dead letters: look at them, send them again, throw them away. Main thread.
 *
 *   letter of a sink       its product's present state is written again, by the sink's own thread; a letter
 *                          that the database takes is settled there, one that it refuses again counts up
 *   letter of an applier   its event is sent once more, as a new one; then the letter goes
 *
 * A letter is redriven once at a time. Killed before the letter goes, its event is sent again under the same key, and
 * so recognised (src/dedupe).
 */
import { within } from '../deadline.ts';
import { fingerprintKey } from '../event/fingerprint.ts';
import type { ProductEvent } from '../event/product-event.ts';
import type { EventIntake, Offer } from '../intake/event-intake.ts';
import type { SlotContent } from '../ring/slot.ts';
import { APPLIER_SOURCE, type DeadLetter, type LetterFilter } from './dead-letters.ts';
import type { LetterDesk } from './letter-desk.ts';
import type { RowRedrive } from './sink-messages.ts';

/** How long whoever asks for a redrive waits; it goes on without. */
const ANSWER_MS_MAX = 5_000;

/**
 * - `written`: the database has the product's present state; the letter is settled.
 * - `refused`: it refuses it still; the letter says why.
 * - `queued`: the sink can't be reached now; it is written when it can.
 * - `sent`: the event was logged again, as `seq`; the letter is gone.
 * - `no-sink`: no sink of this name is configured.
 * - `rejected`: the event can't be taken now (`offer` says why), or its outcome is unknown.
 */
export type Redriven =
  | { readonly status: RowRedrive | 'queued' | 'no-sink' }
  | { readonly status: 'sent'; readonly seq: number }
  | { readonly status: 'rejected'; readonly offer: Exclude<Offer, 'queued'> | 'failed' };

const UNKNOWN: Redriven = { status: 'rejected', offer: 'failed' };

export interface DeadLetterOfficeOptions {
  readonly desk: LetterDesk;
  readonly sinks: {
    /** Writes the present state of a product again; `undefined` if there is no such sink. */
    redrive(sink: string, productId: string): Promise<RowRedrive> | undefined;
  };
  readonly intake: Pick<EventIntake, 'offer'>;
  /** ANSWER_MS_MAX, but in tests. */
  readonly answerMs?: number;
}

export class DeadLetterOffice {
  readonly #options: DeadLetterOfficeOptions;
  /** Redrives under way, by the letter's id. */
  readonly #underWay = new Map<number, Promise<Redriven>>();

  constructor(options: DeadLetterOfficeOptions) {
    this.#options = options;
  }

  /** Up to `limit` letters behind the one with the id `after`, oldest first. */
  list(after: number, limit: number, filter: LetterFilter): Promise<readonly DeadLetter[]> {
    return this.#options.desk.list(after, limit, filter);
  }

  /** Whether it was there. */
  remove(id: number): Promise<boolean> {
    return this.#options.desk.remove(id);
  }

  /** Sends it again; `undefined` if there is no such letter. */
  async redrive(id: number): Promise<Redriven | undefined> {
    const letter = await this.#options.desk.get(id);
    if (letter === undefined) return undefined;
    const redriven = this.#underWay.get(id) ?? this.#begin(letter);
    const answer = await within(this.#options.answerMs ?? ANSWER_MS_MAX, redriven);
    if (typeof answer === 'object') return answer;
    return letter.source === APPLIER_SOURCE ? UNKNOWN : { status: 'queued' };
  }

  #begin(letter: DeadLetter): Promise<Redriven> {
    const { id, source } = letter;
    const redriven = (
      source === APPLIER_SOURCE ? this.#redriveEvent(letter) : this.#redriveRow(letter)
    ).finally(() => this.#underWay.delete(id));
    // Whoever asked may have gone.
    redriven.catch(() => undefined);
    this.#underWay.set(id, redriven);
    return redriven;
  }

  /** Keeps an event that an applier set aside; resolves when it is flushed. */
  async keepEvent(content: SlotContent, reason: string): Promise<boolean> {
    const { seq, productId, price, stock, occurredAtMs, isDelete, expectedSeq } = content;
    return await this.#options.desk.put({
      source: APPLIER_SOURCE,
      productId,
      seq,
      content: JSON.stringify({
        price,
        stock,
        occurred_at_ms: occurredAtMs,
        deleted: isDelete,
        expected_seq: expectedSeq,
      }),
      code: 'dead-event',
      reason,
    });
  }

  async #redriveRow({ source, productId }: DeadLetter): Promise<Redriven> {
    const written = this.#options.sinks.redrive(source, productId);
    return { status: written === undefined ? 'no-sink' : await written };
  }

  async #redriveEvent(letter: DeadLetter): Promise<Redriven> {
    const { desk, intake } = this.#options;
    const fate = Promise.withResolvers<Redriven>();
    const offer = intake.offer(eventOf(letter), {
      durable: (seq) => fate.resolve({ status: 'sent', seq }),
      conflict: () => fate.resolve(UNKNOWN),
      failed: () => fate.resolve(UNKNOWN),
    });
    if (offer !== 'queued') return { status: 'rejected', offer };
    const redriven = await fate.promise;
    if (redriven.status === 'sent') await desk.remove(letter.id);
    return redriven;
  }
}

function eventOf({ productId, seq, content }: DeadLetter): ProductEvent {
  const { price, stock, occurred_at_ms, deleted, expected_seq } = JSON.parse(content);
  return {
    productId,
    price,
    stock,
    occurredAtMs: occurred_at_ms,
    isDelete: deleted,
    expectedSeq: expected_seq,
    key: fingerprintKey('letter', String(seq)),
  };
}
