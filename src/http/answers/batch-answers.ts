/**
 * What a batch is answered when it is over. One that fails on its way is answered with what went wrong
 * and how far it came: the counts stand in the problem, and `outcome` says what is known of the rest.
 * Main thread.
 */
import type { FastifyReply } from 'fastify';
import type { ImportEnd } from '../../bulk/batch-import.ts';
import { BodyRefused } from '../../errors/body-refused.ts';
import type { BatchProgress, ProblemExtras } from '../../errors/problems.ts';
import type { AckLevel } from '../../intake/event-intake.ts';
import type { BatchAnswer } from '../schemas/batch.ts';
import type { Batches, BatchWork } from '../seams/batches.ts';
import type { DeadEvents, EventOutcomes } from '../seams/event-outcomes.ts';
import { EVENTS_PATH, isGone, sendJson, sendProblem } from './respond.ts';

const STOPPING_RETRY_AFTER_SECONDS = 1;

const OTHER_BODY =
  'Another body came before under this Idempotency-Key; a key belongs to one body only.';

/** Where the answer goes, and what it states. */
export interface BatchAsked {
  readonly reply: FastifyReply;
  readonly isStream: boolean;
  readonly level: AckLevel;
}

export class BatchAnswers {
  readonly #outcomes: EventOutcomes;
  readonly #batches: Pick<Batches, 'retryAfterSeconds'>;

  constructor(outcomes: EventOutcomes, batches: Pick<Batches, 'retryAfterSeconds'>) {
    this.#outcomes = outcomes;
    this.#batches = batches;
  }

  /** Answers a batch that ended as `end`; with ack=applied, once its last event is applied. */
  send(
    { reply, isStream, level }: BatchAsked,
    work: BatchWork,
    end: ImportEnd | BodyRefused,
    dead: DeadEvents | undefined,
  ): void {
    const { batch } = work;
    if (isGone(reply)) return;
    if (batch.hasFailed) this.#fail(reply, work);
    else if (end !== 'queued') this.#refuse(reply, work, end);
    else if (work.events === 0) {
      sendProblem(reply, 'empty-body', { detail: 'The batch has no events.' });
    } else if (!isStream && work.faults.events > 0) {
      // A conflict that only the sequencer saw; the events beside it are durable by now.
      this.#refuse(reply, work, 'conflict');
    } else if (dead !== undefined && batch.lastSeq > 0) {
      this.#outcomes.whenApplied(batch.lastSeq, () => {
        dead.look();
        succeed(reply, work, level, dead.listed);
      });
    } else succeed(reply, work, level, []);
  }

  /** Refuses a batch of which nothing was taken, for a reason that passes. */
  tryLater(reply: FastifyReply, code: 'queue-full' | 'storage-unavailable'): void {
    sendProblem(reply, code, { outcome: 'none' }, this.#batches.retryAfterSeconds());
  }

  /** The log did not take in time what it was given, or was to be given. */
  #fail(reply: FastifyReply, work: BatchWork): void {
    const known = stateOf(work);
    const state: ProblemExtras = work.batch.inFlight > 0 ? { ...known, outcome: 'unknown' } : known;
    sendProblem(reply, 'storage-unavailable', state, this.#batches.retryAfterSeconds());
  }

  #refuse(
    reply: FastifyReply,
    work: BatchWork,
    end: Exclude<ImportEnd, 'queued'> | BodyRefused,
  ): void {
    const state = stateOf(work);
    const refused = end === 'malformed' ? work.malformation : end;
    if (refused instanceof BodyRefused && refused.code !== 'stopping') {
      const { code, message: detail, retryAfterSeconds } = refused;
      sendProblem(reply, code, { ...state, detail }, retryAfterSeconds);
    } else if (refused instanceof BodyRefused || end === 'stopping') {
      sendProblem(reply, 'stopping', state, STOPPING_RETRY_AFTER_SECONDS);
    } else if (end === 'faulty' || end === 'conflict') {
      const { listed: errors, events: rejected } = work.faults;
      const code = end === 'faulty' ? 'invalid-batch' : 'idempotency-conflict';
      sendProblem(reply, code, { ...state, rejected, errors });
    } else if (end === 'other-body') {
      sendProblem(reply, 'idempotency-conflict', { outcome: 'none', detail: OTHER_BODY });
    } else if (end === 'store-full') sendProblem(reply, 'store-full', state);
    else this.tryLater(reply, 'queue-full');
  }
}

function succeed(
  reply: FastifyReply,
  work: BatchWork,
  level: AckLevel,
  dead: readonly number[],
): void {
  if (isGone(reply)) return;
  const { faults, batch } = work;
  const isAllKnown = batch.accepted === 0 && batch.duplicates > 0 && work.rejected === 0;
  const answer: BatchAnswer = { status: level, ...progressOf(work), errors: [...faults.listed] };
  if (level === 'accepted') {
    answer.accepted += batch.inFlight;
    answer.first_seq = null;
    answer.last_seq = null;
  }
  if (dead.length > 0) answer.dead = [...dead];
  if (isAllKnown || work.isReplay) reply.raw.setHeader('idempotency-replayed', 'true');
  if (answer.last_seq !== null) {
    reply.raw.setHeader('location', `${EVENTS_PATH}${answer.last_seq}`);
  }
  const isWhole = work.rejected === 0 && dead.length === 0;
  const status = !isWhole ? 207 : level === 'applied' ? 200 : 202;
  sendJson(reply, status, JSON.stringify(answer));
}

/** What is known of a batch that was given up on its way, all that was queued being settled. */
function stateOf(work: BatchWork): ProblemExtras {
  return work.batch.isEmpty ? { outcome: 'none' } : { outcome: 'partial', ...progressOf(work) };
}

function progressOf({ batch, rejected }: BatchWork): BatchProgress {
  const { accepted, duplicates, firstSeq, lastSeq } = batch;
  return {
    accepted,
    rejected,
    duplicates,
    first_seq: firstSeq === 0 ? null : firstSeq,
    last_seq: lastSeq === 0 ? null : lastSeq,
  };
}
