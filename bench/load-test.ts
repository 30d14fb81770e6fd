/**
 * `make load-test`: sends 1,000 events to a running service and says what came back.
 *
 *   this process, 32 requests at a time ──POST──▶ the service at a URL
 *
 * Exit code 0 if every event was answered 202, 1 otherwise and when no service is there.
 */
import { createEventStream, productIds } from './support/event-stream.ts';
import { percentile } from './support/percentile.ts';
import { figure, formatTable } from './support/report.ts';
import { findService } from './support/running-service.ts';

const EVENTS = 1000;
const PRODUCTS = 100;
const AT_A_TIME = 32;
const SEED = 1_000;
const ANSWER_MS_MAX = 30_000;

/** Answers and faults by what they say, and how often. */
const outcomes = new Map<string, number>();
const latenciesMs: number[] = [];
const stream = createEventStream(SEED, productIds(PRODUCTS));
let left = EVENTS;

async function post(url: string): Promise<string> {
  const { productId, price, stock } = stream.next();
  const startMs = performance.now();
  try {
    const response = await fetch(`${url}/api/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ product_id: productId, price, stock }),
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    const body = (await response.json()) as { status?: unknown; code?: unknown };
    latenciesMs.push(performance.now() - startMs);
    return `${response.status} ${response.status === 202 ? body.status : body.code}`;
  } catch (error) {
    const { cause, message } = error as Error;
    return `no answer: ${cause instanceof Error ? cause.message : message}`;
  }
}

async function postOn(url: string): Promise<void> {
  while (left > 0) {
    left--;
    const outcome = await post(url);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
}

const url = await findService();
const startMs = performance.now();
await Promise.all(Array.from({ length: AT_A_TIME }, () => postOn(url)));
const seconds = (performance.now() - startMs) / 1000;

const sorted = Float64Array.from(latenciesMs).sort();
const rows = [...outcomes].map(([outcome, count]) => [outcome, String(count)]);
console.log(`${EVENTS} events to ${url}, ${AT_A_TIME} at a time, in ${seconds.toFixed(2)} s\n`);
console.log(formatTable({ title: '', columns: ['answer', 'events'], rows }));
const [p50, p99, most] = [50, 99, 100].map((percent) => figure(percentile(sorted, percent)));
console.log(`\nlatency: p50 ${p50} ms, p99 ${p99} ms, highest ${most} ms`);
const accepted = rows.filter(([outcome]) => outcome.startsWith('202 '));
if (accepted.reduce((sum, [, count]) => sum + Number(count), 0) !== EVENTS) {
  process.stderr.write('not every event was answered 202\n');
  process.exitCode = 1;
}
