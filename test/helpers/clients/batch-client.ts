/** Sends batches to the service, whole or piece by piece. Tests only. */
import { Buffer } from 'node:buffer';
import {
  type ClientRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
} from 'node:http';
import type { BatchFault } from '../../../src/bulk/fault-list.ts';
import { checkAnswer } from '../api/described-answers.ts';
import { bounded } from '../bounded.ts';

const PATH = '/api/v1/events/batch';
const ANSWER_MS_MAX = 60_000;

/** The members of an answer to a batch, and of a problem. */
export interface BatchBody {
  readonly status: string | number;
  readonly accepted: number;
  readonly rejected: number;
  readonly duplicates: number;
  readonly first_seq: number | null;
  readonly last_seq: number | null;
  readonly dead?: readonly number[];
  readonly errors: readonly BatchFault[];
  readonly code?: string;
  readonly detail?: string;
  readonly outcome?: string;
}

export interface BatchAnswered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: BatchBody;
}

export interface BatchOptions {
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  /** How long sending it and the answer may take together; a minute if not given. */
  readonly waitMs?: number;
}

export interface OpenBatch {
  readonly call: ClientRequest;
  readonly answered: Promise<BatchAnswered>;
}

/** Begins a batch whose body the caller writes to `call`, and ends. */
export function openBatch(
  port: number,
  { query = '', headers = {}, waitMs = ANSWER_MS_MAX }: BatchOptions = {},
): OpenBatch {
  const call = request({
    host: '127.0.0.1',
    port,
    method: 'POST',
    path: `${PATH}${query}`,
    headers: { 'content-type': 'application/x-ndjson', ...headers },
    agent: false,
  });
  const answered = new Promise<BatchAnswered>((resolve, reject) => {
    call.on('error', reject);
    call.on('response', (response: IncomingMessage) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () => {
        const { statusCode: status = 0, headers } = response;
        const text = Buffer.concat(chunks).toString();
        try {
          checkAnswer({ method: 'POST', url: PATH, status, headers, text, isWhole: true });
          resolve({ status, headers, body: JSON.parse(text) });
        } catch (error) {
          reject(error);
        }
      });
    });
  });
  answered.catch(() => undefined);
  return { call, answered: bounded(answered, waitMs, 'the answer to a batch') };
}

/** Sends a whole batch. */
export function sendBatch(
  port: number,
  body: string | Buffer,
  options: BatchOptions = {},
): Promise<BatchAnswered> {
  const { call, answered } = openBatch(port, options);
  call.end(body);
  return answered;
}

/** One line of a valid event. */
export function line(id: string, price: number, stock = 1): string {
  return `{"product_id":${JSON.stringify(id)},"price":${price},"stock":${stock}}\n`;
}

/** Many of them: products p0 …, prices from 0 on. */
export function lines(count: number, from = 0): string {
  return Array.from({ length: count }, (_, i) => line(`p${i}`, from + i)).join('');
}
