/**
 * `POST /api/v1/events/batch`: many events in one body, all or none of them (`on_error=reject`, up to
 * BATCH_LIMIT) or the good ones of any number (`on_error=continue`). Main thread. What is answered is
 * batch-answers.ts.
 */

import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { BatchForm, BatchRecord } from '../../bulk/batch-imports.ts';
import { bodyTooLong } from '../../bulk/staged-import.ts';
import { BodyRefused } from '../../errors/body-refused.ts';
import { fingerprintKey } from '../../event/fingerprint.ts';
import type { BatchRefusal } from '../../intake/bulk-intake.ts';
import type { AckLevel } from '../../intake/event-intake.ts';
import type { Lifecycle } from '../../lifecycle.ts';
import { BatchAnswers, type BatchAsked } from '../answers/batch-answers.ts';
import { EVENTS_PATH, isGone, sendProblem } from '../answers/respond.ts';
import { isStopping, sendClosed } from '../guards/phase-guard.ts';
import type { RateGuard } from '../guards/rate-guard.ts';
import { codingOf, isArrayBody } from '../requests/batch-media.ts';
import { idempotencyKeyOf } from '../requests/idempotency-key.ts';
import { MeteredSource } from '../requests/metered-source.ts';
import { Upload } from '../requests/upload.ts';
import type { Uploads } from '../requests/uploads.ts';
import { batchAnswers, batchHeaders, batchQuery, parseBatchQuery } from '../schemas/batch.ts';
import { BATCH_TYPES, batchBody } from '../schemas/batch-body.ts';
import { describedOnly } from '../schemas/described-only.ts';
import { BODY_PROBLEMS, problemResponses, WRITE_PROBLEMS } from '../schemas/problem.ts';
import type { RawQuery } from '../schemas/query-reader.ts';
import type { Batches, BatchWork } from '../seams/batches.ts';
import type { EventOutcomes } from '../seams/event-outcomes.ts';
import type { BatchKeysRunning } from '../seams/running-keys.ts';
import type { UploadPlaces } from '../seams/upload-places.ts';
import type { FutureEvents } from '../writes/future-events.ts';

/** What a repetition waits while the first request is still being taken. */
const BUSY_RETRY_AFTER_SECONDS = 1;

export interface BatchLimits {
  /** The least stock that an event may set. */
  readonly stockMin: number;
  /** Longest body, decoded, of a batch that is taken whole. */
  readonly batchBytesMax: number;
  /** How long a body may stand still. */
  readonly requestTimeoutMs: number;
}

export interface BatchRouteDeps {
  readonly batches: Batches;
  readonly running: BatchKeysRunning;
  /** Those of this thread, and of all. */
  readonly uploads: Uploads;
  readonly uploadPlaces: UploadPlaces;
  readonly lifecycle: Lifecycle;
  readonly outcomes: EventOutcomes;
  readonly ackDefault: AckLevel;
  readonly limits: BatchLimits;
  readonly rates: RateGuard;
  readonly future: FutureEvents;
  /** Requests, or their sockets, that must not be timed as a whole; upload.ts. */
  readonly untimed: WeakSet<object>;
}

interface Asked extends BatchAsked {
  readonly request: FastifyRequest;
}

export function batchRoute(app: FastifyInstance, deps: BatchRouteDeps): void {
  const { batches, running, uploads, uploadPlaces, lifecycle, outcomes, ackDefault } = deps;
  const { limits, rates, untimed, future } = deps;
  const answers = new BatchAnswers(outcomes, batches);
  // The handler reads the body itself.
  app.addContentTypeParser([...BATCH_TYPES], (_request, _body, done) => done(null));

  app.route<{ Querystring: RawQuery }>({
    method: 'POST',
    url: `${EVENTS_PATH}batch`,
    config: {
      policy: {
        serves: 'writes',
        body: { types: BATCH_TYPES, codings: 'known' },
        conditions: 'refused',
        idempotencyKey: 'before-body',
        access: 'writer',
        rate: 'bulk',
      },
    },
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
    const record = batches.recordOf(fingerprintKey('request', text));
    if (isGone(reply)) {
      end();
      return;
    }
    if (record === 'busy') answers.tryLater(reply, 'storage-unavailable');
    else if (record === 'expired') sendProblem(reply, 'idempotency-expired', { outcome: 'none' });
    else {
      begin(asked, record, end);
      return;
    }
    end();
  }

  function begin(asked: Asked, record: BatchRecord | undefined, onEnd: () => void): void {
    const { request, reply, isStream } = asked;
    const work = started({ isArray: isArrayBody(request), isStream }, record, onEnd);
    if (typeof work === 'string') {
      const freed = work === 'queue-full' ? uploadPlaces.makeRoom() : undefined;
      if (freed === undefined) refuse(asked, work, onEnd);
      else
        void freed.then((isFree) => {
          if (isFree) beginAgain(asked, record, onEnd);
          else refuse(asked, work, onEnd);
        });
      return;
    }
    const upload = new Upload(request.raw, {
      coding: codingOf(request),
      patienceMs: limits.requestTimeoutMs,
      plainBytes: limits.batchBytesMax,
      untimed,
    });
    work.batch.onStop = () => upload.interrupt();
    const freed = importBatch(asked, work, upload)
      .catch((error: unknown) => {
        if (!isGone(reply)) reply.send(error);
      })
      .finally(() => {
        upload.release();
        // What the log did not take in time may still come to it; a repetition's receipts must come later.
        void batches.end(work).then(onEnd);
      });
    uploads.add(upload, freed);
  }

  function refuse({ reply }: Asked, why: BatchRefusal, onEnd: () => void): void {
    if (!isGone(reply)) {
      if (why === 'closed') sendClosed(lifecycle, reply);
      else answers.tryLater(reply, why);
    }
    onEnd();
  }

  /** Another batch gave up its place, which somebody else may have by now. */
  function beginAgain(asked: Asked, record: BatchRecord | undefined, onEnd: () => void): void {
    const { reply } = asked;
    if (isGone(reply)) {
      onEnd();
      return;
    }
    try {
      begin(asked, record, onEnd);
    } catch (error) {
      reply.send(error);
    }
  }

  function started(form: BatchForm, record: BatchRecord | undefined, onEnd: () => void) {
    try {
      return batches.begin(form, record);
    } catch (error) {
      onEnd();
      throw error;
    }
  }

  async function importBatch(asked: Asked, work: BatchWork, upload: Upload): Promise<void> {
    const { level } = asked;
    const dead = level === 'applied' ? outcomes.searchDead() : undefined;
    if (dead !== undefined) work.batch.onSeqs = (from, to) => dead.note(from, to);
    const metered = meteredSource(asked, work, upload);
    const end = await work.run(metered ?? upload).catch((error: unknown) => {
      if (error instanceof BodyRefused) return error;
      throw error;
    });
    metered?.settle();
    future.count(work.faults.clockEvents);
    const isQueued = end === 'queued';
    const isWaiting = !isQueued || level !== 'accepted';
    const settle = async (): Promise<void> => {
      await batches.settle(work, isQueued);
      if (work.batch.queuedAtMs > 0) asked.request.trace?.settled(work.batch);
    };
    if (isWaiting) await settle();
    answers.send(asked, work, end, dead);
    if (!isWaiting) await settle();
  }

  /** Charges the events of `upload` to its client; `undefined` if events of batches are not limited. */
  function meteredSource(
    { request, reply, isStream }: Asked,
    work: BatchWork,
    upload: Upload,
  ): MeteredSource | undefined {
    const table = rates.bulk?.table;
    if (table === undefined) return undefined;
    return new MeteredSource({
      source: upload,
      meter: { table, key: rates.keyOf(request) },
      isStream,
      patienceMs: limits.requestTimeoutMs,
      events: () => work.events,
      isOver: () => isGone(reply) || work.batch.hasFailed || isStopping(lifecycle),
    });
  }
}

/** Length of the decoded body where the headers say it. */
function plainBytes(request: FastifyRequest): number {
  return codingOf(request) === 'identity' ? Number(request.headers['content-length'] ?? 0) : 0;
}
