/**
 * `POST /api/v1/events/batch`: many events in one body, all or none of them (`on_error=reject`, up to
 * BATCH_LIMIT) or the good ones of any number (`on_error=continue`). Main thread.
 *
 * A request that fails on its way is answered with what went wrong and how far it came: the counts
 * stand in the problem, and `outcome` says what is known of the rest. (Over 300 lines: what is taken, put
 * on record and answered, in this order and no other, is read in one piece.)
 */

import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { DeadEventsSearch } from '../../apply/dead-events-search.ts';
import type { BatchImport, ImportEnd } from '../../bulk/batch-import.ts';
import { BatchKeys } from '../../bulk/batch-keys.ts';
import { BatchReceipts, isResumable } from '../../bulk/batch-receipts.ts';
import { bodyTooLong, StagedImport } from '../../bulk/staged-import.ts';
import { StreamImport } from '../../bulk/stream-import.ts';
import type { BatchReceipt } from '../../dedupe/batch-receipt.ts';
import type { DedupeWindow } from '../../dedupe/dedupe-window.ts';
import type { ReceiptWindow } from '../../dedupe/receipt-window.ts';
import { BodyRefused } from '../../errors/body-refused.ts';
import type { BatchProgress, ProblemExtras } from '../../errors/problems.ts';
import { batchEvents } from '../../event/batch-event.ts';
import { fingerprintKey } from '../../event/fingerprint.ts';
import type { Batch } from '../../intake/batch.ts';
import type { BulkIntake } from '../../intake/bulk-intake.ts';
import type { AckLevel } from '../../intake/event-intake.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import { EVENTS_PATH, isGone, sendJson, sendProblem } from '../answers/respond.ts';
import type { AppliedEvents } from '../applied-events.ts';
import type { FutureEvents } from '../future-events.ts';
import { refusedWrite, sendClosed } from '../guards/phase-guard.ts';
import { codingOf, readerFor, refusedBatchMedia } from '../requests/batch-media.ts';
import { refusedBatchCondition } from '../requests/conditions.ts';
import { idempotencyKeyOf, refusedIdempotencyKey } from '../requests/idempotency-key.ts';
import { RunningKeys } from '../requests/running-keys.ts';
import { Upload } from '../requests/upload.ts';
import {
  type BatchAnswer,
  batchAnswers,
  batchHeaders,
  batchQuery,
  parseBatchQuery,
} from '../schemas/batch.ts';
import { BATCH_TYPES, batchBody } from '../schemas/batch-body.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { BODY_PROBLEMS, problemResponses, WRITE_PROBLEMS } from '../schemas/problem.ts';
import type { RawQuery } from '../schemas/query-reader.ts';

const STOPPING_RETRY_AFTER_SECONDS = 1;
/** What a repetition waits while the first request is still being taken. */
const BUSY_RETRY_AFTER_SECONDS = 1;

const OTHER_BODY =
  'Another body came before under this Idempotency-Key; a key belongs to one body only.';

export interface BatchLimits {
  /** The least stock that an event may set. */
  readonly stockMin: number;
  /** Longest body, decoded, of a batch that is taken whole. */
  readonly batchBytesMax: number;
  /** How long a body may stand still. */
  readonly requestTimeoutMs: number;
}

export interface BatchRouteDeps {
  readonly intake: BulkIntake;
  /** The keys known to the sequencer. */
  readonly known: DedupeWindow;
  /** The receipts of batches known to it. */
  readonly receipts: ReceiptWindow;
  readonly lifecycle: Lifecycle;
  readonly applied: AppliedEvents;
  readonly ackDefault: AckLevel;
  readonly limits: BatchLimits;
  readonly future: FutureEvents;
  /** Sockets whose requests Node must not time as a whole. */
  readonly untimed: WeakSet<Socket>;
}

interface Asked {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly isStream: boolean;
  readonly level: AckLevel;
}

/** The key of a request, and what is on record under it. */
interface Record {
  readonly key: Int32Array;
  readonly found: BatchReceipt | undefined;
}

export function batchRoute(app: FastifyInstance, deps: BatchRouteDeps): void {
  const { intake, known, receipts, lifecycle, applied, ackDefault, limits, untimed, future } = deps;
  const events = batchEvents(limits.stockMin);
  const running = new RunningKeys();
  // The handler reads the body itself.
  app.addContentTypeParser([...BATCH_TYPES], (_request, _body, done) => done(null));

  app.route<{ Querystring: RawQuery }>({
    method: 'POST',
    url: `${EVENTS_PATH}batch`,
    config: { mediaTypes: BATCH_TYPES },
    ...describedOnly,
    schema: {
      operationId: 'sendEvents',
      summary: 'Send many events',
      description:
        'A body of NDJSON (application/x-ndjson) or a JSON array (application/json), plain or coded with gzip, br or zstd. An event may carry only price or only stock if it says "partial": true.',
      tags: ['Events'],
      body: batchBody,
      querystring: batchQuery,
      headers: batchHeaders,
      response: {
        ...batchAnswers,
        ...problemResponses(
          ...WRITE_PROBLEMS,
          ...BODY_PROBLEMS,
          'invalid-batch',
          'idempotency-in-progress',
          'idempotency-expired',
        ),
      },
    },
    onRequest: (request, reply, done) => {
      if (
        !refusedWrite(lifecycle, reply) &&
        !refusedBatchMedia(request, reply) &&
        !refusedBatchCondition(request, reply) &&
        !refusedIdempotencyKey(request, reply)
      )
        done();
    },
    handler: (request, reply) => {
      const parsed = parseBatchQuery(request.query);
      if ('fault' in parsed) {
        const detail = parsed.fault;
        return sendProblem(reply, 'invalid-parameter', { detail, outcome: 'none' });
      }
      const { query } = parsed;
      const isStream = query.onError === 'continue';
      if (!isStream && plainBytes(request) > limits.batchBytesMax) {
        const detail = bodyTooLong(limits.batchBytesMax).message;
        return sendProblem(reply, 'body-too-large', { outcome: 'none', detail });
      }
      const asked = { request, reply, isStream, level: query.ack ?? ackDefault };
      const key = idempotencyKeyOf(request);
      if (key === undefined) begin(asked, undefined, () => undefined);
      else void beginKeyed(asked, key).catch((error: unknown) => reply.send(error));
    },
  });

  /** Looks what is on record under the key, while no other request of it is being taken. */
  async function beginKeyed(asked: Asked, text: string): Promise<void> {
    const { reply } = asked;
    const end = await running.begin(text);
    if (end === undefined) {
      sendProblem(reply, 'idempotency-in-progress', { outcome: 'none' }, BUSY_RETRY_AFTER_SECONDS);
      return;
    }
    const key = fingerprintKey('request', text);
    const found = receipts.find(key);
    if (isGone(reply)) {
      end();
      return;
    }
    if (found === 'busy') tryLater(reply, 'storage-unavailable');
    else if (found !== undefined && !isResumable(found, known)) {
      sendProblem(reply, 'idempotency-expired', { outcome: 'none' });
    } else {
      begin(asked, { key, found }, end);
      return;
    }
    end();
  }

  function begin(asked: Asked, record: Record | undefined, onEnd: () => void): void {
    const { request, reply } = asked;
    const batch = intake.begin();
    if (batch === 'closed') {
      sendClosed(lifecycle, reply);
      onEnd();
      return;
    }
    if (batch === 'storage-unavailable' || batch === 'queue-full') {
      tryLater(reply, batch);
      onEnd();
      return;
    }
    const upload = new Upload(request.raw, {
      coding: codingOf(request),
      patienceMs: limits.requestTimeoutMs,
      plainBytes: limits.batchBytesMax,
      untimed,
    });
    batch.onStop = () => upload.interrupt();
    void take(asked, record, batch, upload)
      .catch((error: unknown) => {
        if (!isGone(reply)) reply.send(error);
      })
      .finally(() => {
        upload.release();
        intake.end(batch);
        onEnd();
      });
  }

  async function take(
    asked: Asked,
    record: Record | undefined,
    batch: Batch,
    upload: Upload,
  ): Promise<void> {
    const { request, isStream, level } = asked;
    const dead = level === 'applied' ? applied.searchDead() : undefined;
    if (dead !== undefined) batch.onSeqs = (from, to) => dead.note(from, to);
    const bytesMax = limits.batchBytesMax;
    const parts = {
      intake,
      batch,
      reader: readerFor(request, events),
      keys: new BatchKeys(record?.key),
      known,
      receipts: record === undefined ? undefined : new BatchReceipts({ intake, batch, ...record }),
    };
    const work = isStream ? new StreamImport(parts) : new StagedImport({ ...parts, bytesMax });
    const end = await work.run(upload).catch((error: unknown) => {
      if (error instanceof BodyRefused) return error;
      throw error;
    });
    future.count(work.faults.clockEvents);
    const isWaiting = end !== 'queued' || level !== 'accepted';
    if (isWaiting) await putOnRecord(work, end);
    answer(asked, work, end, dead);
    if (!isWaiting) await putOnRecord(work, end);
  }

  /** Resolves when everything queued is settled, and how the request ended is on record. */
  async function putOnRecord(work: BatchImport, end: ImportEnd | BodyRefused): Promise<void> {
    await intake.whenSettled(work.batch);
    await work.putOnRecord(end === 'queued');
  }

  function answer(
    { reply, isStream, level }: Asked,
    work: BatchImport,
    end: ImportEnd | BodyRefused,
    dead: DeadEventsSearch | undefined,
  ): void {
    const { batch } = work;
    if (isGone(reply)) return;
    if (batch.hasFailed) failed(reply, work);
    else if (end !== 'queued') refuse(reply, work, end);
    else if (work.events === 0) {
      sendProblem(reply, 'empty-body', { detail: 'The batch has no events.' });
    } else if (!isStream && work.faults.events > 0) {
      // A conflict that only the sequencer saw; the events beside it are durable by now.
      refuse(reply, work, 'conflict');
    } else if (dead !== undefined && batch.lastSeq > 0) {
      applied.whenApplied(batch.lastSeq, () => {
        dead.look();
        succeed(reply, work, level, dead.listed);
      });
    } else succeed(reply, work, level);
  }

  function succeed(
    reply: FastifyReply,
    work: BatchImport,
    level: AckLevel,
    dead: readonly number[] = [],
  ): void {
    if (isGone(reply)) return;
    const { faults, batch } = work;
    const isAllKnown = batch.accepted === 0 && batch.duplicates > 0 && work.rejected === 0;
    const answer: BatchAnswer = { status: level, ...progressOf(work), errors: faults.listed };
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

  /** The log did not take in time what it was given, or was to be given. */
  function failed(reply: FastifyReply, work: BatchImport): void {
    const known = stateOf(work);
    const state: ProblemExtras = work.batch.inFlight > 0 ? { ...known, outcome: 'unknown' } : known;
    sendProblem(reply, 'storage-unavailable', state, intake.retryAfterSeconds());
  }

  function refuse(
    reply: FastifyReply,
    work: BatchImport,
    end: Exclude<ImportEnd, 'queued'> | BodyRefused,
  ): void {
    const state = stateOf(work);
    const refused = end === 'malformed' ? work.malformation : end;
    if (refused === 'stopping' || (refused instanceof BodyRefused && refused.code === 'stopping')) {
      sendProblem(reply, 'stopping', state, STOPPING_RETRY_AFTER_SECONDS);
    } else if (refused instanceof BodyRefused) {
      sendProblem(reply, refused.code, { ...state, detail: refused.message });
    } else if (end === 'faulty') {
      const { listed: errors, events: rejected } = work.faults;
      sendProblem(reply, 'invalid-batch', { ...state, rejected, errors });
    } else if (end === 'other-body') {
      sendProblem(reply, 'idempotency-conflict', { outcome: 'none', detail: OTHER_BODY });
    } else if (end === 'conflict') {
      const { listed: errors, events: rejected } = work.faults;
      sendProblem(reply, 'idempotency-conflict', { ...state, rejected, errors });
    } else if (end === 'store-full') sendProblem(reply, 'store-full', state);
    else if (end === 'stopping')
      sendProblem(reply, 'stopping', state, STOPPING_RETRY_AFTER_SECONDS);
    else tryLater(reply, 'queue-full');
  }

  function tryLater(reply: FastifyReply, code: 'queue-full' | 'storage-unavailable'): void {
    sendProblem(reply, code, { outcome: 'none' }, intake.retryAfterSeconds());
  }
}

/** What is known of a batch that was given up on its way, all that was queued being settled. */
function stateOf(work: BatchImport): ProblemExtras {
  return work.batch.isEmpty ? { outcome: 'none' } : { outcome: 'partial', ...progressOf(work) };
}

function progressOf({ batch, rejected }: BatchImport): BatchProgress {
  const { accepted, duplicates, firstSeq, lastSeq } = batch;
  return {
    accepted,
    rejected,
    duplicates,
    first_seq: firstSeq === 0 ? null : firstSeq,
    last_seq: lastSeq === 0 ? null : lastSeq,
  };
}

/** Length of the decoded body where the headers tell it. */
function plainBytes(request: FastifyRequest): number {
  return codingOf(request) === 'identity' ? Number(request.headers['content-length'] ?? 0) : 0;
}
