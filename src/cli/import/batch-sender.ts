/**
 * Sends a batch until the service has answered for it: what passes (full queues, limits, a service that
 * restarts, a network that breaks) is waited for, as long as it asks for or longer and longer, and then the same
 * batch goes under the same key, which makes that safe. Main thread.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { PROBLEMS } from '../../errors/problems.ts';
import { CommandError } from '../command.ts';
import { type ListedFault, Refused, type ServiceClient, Unreachable } from '../service-client.ts';

const PATH = '/api/v1/events/batch?on_error=continue&ack=applied';
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 10_000;
/** Statuses that pass, whoever answers: the service, or a balancer before it. */
const PASSING: readonly number[] = [408, 425, 429, 502, 503, 504];

export interface BatchAnswer {
  readonly accepted: number;
  readonly duplicates: number;
  readonly rejected: number;
  readonly last_seq: number | null;
  readonly errors: readonly ListedFault[];
  readonly dead?: readonly number[];
}

export interface SentBatch extends BatchAnswer {
  /** It was sent more than once, so duplicates may be its own. */
  readonly isRetried: boolean;
}

export interface BatchSenderOptions {
  readonly client: ServiceClient;
  /** How long it may go on without an answer. */
  readonly patienceMs: number;
  /** What it waits for, once for each reason; '' = it goes on. */
  readonly onWait: (reason: string) => void;
}

export class BatchSender {
  readonly #options: BatchSenderOptions;

  constructor(options: BatchSenderOptions) {
    this.#options = options;
  }

  /** Resolves with the answer; throws CommandError when it is refused for good, or for too long. */
  async send(body: Uint8Array, key: string): Promise<SentBatch> {
    const { client, patienceMs, onWait } = this.#options;
    const headers = { 'content-type': 'application/x-ndjson', 'idempotency-key': key };
    const untilMs = performance.now() + patienceMs;
    let backoffMs = RETRY_MS_MIN;
    let isRetried = false;
    for (;;) {
      try {
        const { text } = await client.ask({ method: 'POST', path: PATH, headers, body });
        const answer = JSON.parse(text) as BatchAnswer;
        refuseFullStore(answer);
        if (isRetried) onWait('');
        return { ...answer, isRetried };
      } catch (error) {
        const passing = isPassing(error);
        if (!passing) throw error;
        const askedMs = error instanceof Refused ? (error.retryAfterMs ?? 0) : 0;
        // Up to a quarter more, so that many clients don't come back at once.
        const waitMs = Math.max(askedMs, backoffMs) * (1 + Math.random() / 4);
        if (performance.now() + waitMs > untilMs) {
          throw new CommandError(
            `${passing.message}; gave up after ${Math.round(patienceMs / 1000)} s: the same command goes on from here`,
          );
        }
        onWait(passing.message);
        await pause(waitMs);
        backoffMs = Math.min(RETRY_MS_MAX, 2 * backoffMs);
        isRetried = true;
      }
    }
  }
}

function isPassing(error: unknown): CommandError | undefined {
  if (error instanceof Unreachable) return error;
  if (!(error instanceof Refused)) return undefined;
  const isRunning = error.problem.code === 'idempotency-in-progress';
  return isRunning || PASSING.includes(error.status) ? error : undefined;
}

/** What found no room is tried again by a repetition, so the import stops there and can go on later. */
function refuseFullStore({ errors }: BatchAnswer): void {
  const { detail } = PROBLEMS['store-full'];
  if (!errors.some((fault) => fault.detail === detail)) return;
  throw new CommandError(
    'the store has no room for more products: raise MAX_MEMORY_USAGE, restart the service, and give the same command',
  );
}
