/**
 * HTTP load with autocannon: a counted number of requests over a fixed set of products. All that is
 * written in one run is one edition of values, so what a product must hold after it is known.
 * Runs in the bench's process.
 */
import autocannon from 'autocannon';
import { percentile } from './percentile.ts';
import type { BenchSize } from './run-bench.ts';
import { mainThreadCpuMs, processCpuMs } from './thread-times.ts';

const TIMEOUT_SECONDS = 30;
/** How often autocannon looks whether it is done. */
const SAMPLE_MS = 100;
const SHARED_REQUESTS_MAX = 256;

/** What a connection can do at once. */
export interface LoadShape {
  readonly connections: number;
  readonly pipelining: number;
  /** Requests each connection sends. */
  readonly requests: number;
}

const PRODUCTS = { full: 10_000, smoke: 1_000 } as const;

/** Requests that a load sends. */
export interface LoadSize {
  /** By each of 64 connections; a 64th of the products reaches them all. */
  readonly ofMany: number;
  /** By a single connection. */
  readonly ofOne: number;
}

/** The loads that the service is measured with. */
export function loadShapes({ ofMany, ofOne }: LoadSize): { name: string; shape: LoadShape }[] {
  return [
    { name: '64 connections', shape: { connections: 64, pipelining: 1, requests: ofMany } },
    { name: '1 connection', shape: { connections: 1, pipelining: 1, requests: ofOne } },
    {
      name: '64 connections, pipelining 10',
      shape: { connections: 64, pipelining: 10, requests: ofMany },
    },
  ];
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly p999Ms: number;
  /** CPU of the server process for each request, where it is known which one that is. */
  readonly cpuUs: number | undefined;
  /** Of that its main thread's. */
  readonly mainThreadCpuUs: number | undefined;
}

/** What a product is set to. */
export interface Value {
  readonly price: number;
  readonly stock: number;
}

/** The values of one edition: each run of a bench sends another. */
export function productValue(product: number, edition: number): Value {
  return { price: (product % 1000) + edition / 100, stock: product + edition * 7 };
}

/** Ids of the products of a load, as long as those of a catalogue. */
export function productNames(size: BenchSize): string[] {
  return Array.from({ length: PRODUCTS[size] }, (_, i) => `bench-${String(i).padStart(8, '0')}`);
}

/** The requests that write all `products` once, in order. */
export function writes(products: readonly string[], edition: number): autocannon.Request[] {
  return products.map((product_id, i) => ({
    method: 'POST',
    path: '/api/v1/events',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ product_id, ...productValue(i, edition) }),
  }));
}

/** The requests that read all `products` once, in order. */
export function reads(products: readonly string[]): autocannon.Request[] {
  return products.map((id) => ({ method: 'GET', path: `/api/v1/products/${id}` }));
}

/**
 * Sends the load and measures it. The requests are dealt out to the connections in stretches, and
 * each connection goes round in its own; with pipelining all go round in the same few, because
 * autocannon can't deal then. Throws unless every request that was sent is answered, with a 2xx:
 * autocannon counts requests nowhere that stay without an answer, and calls that no error.
 */
export async function sendLoad(
  url: string,
  requests: readonly autocannon.Request[],
  shape: LoadShape,
  pid?: number,
): Promise<LoadResult> {
  const { connections, pipelining } = shape;
  const amount = connections * shape.requests;
  const latenciesMs = new Float64Array(amount);
  const clients: CountingClient[] = [];
  let answers = 0;
  let firstMs = 0;
  let lastMs = 0;
  const deal = dealer(requests, connections);
  const cpuAtStart = pid === undefined ? undefined : cpuMs(pid);
  const finished = Promise.withResolvers<autocannon.Result>();
  const options = {
    url,
    connections,
    pipelining,
    amount,
    timeout: TIMEOUT_SECONDS,
    sampleInt: SAMPLE_MS,
    ...(pipelining === 1 ? {} : { requests: thinned(requests) }),
    setupClient: (client: autocannon.Client) => {
      clients.push(endWhenAnswered(client, shape));
      if (pipelining === 1) deal(client);
    },
  };
  const run = autocannon(options, (error, result) => {
    if (error) finished.reject(error);
    else finished.resolve(result);
  });
  run.on('response', (_client, _status, _bytes, ms) => {
    if (answers === 0) firstMs = performance.now();
    if (answers < amount) latenciesMs[answers] = ms;
    // Autocannon itself ends up to SAMPLE_MS later.
    lastMs = performance.now();
    answers++;
  });
  const result = await finished.promise;
  const cpuAtEnd = pid === undefined ? undefined : cpuMs(pid);
  const sent = clients.reduce((sum, { reqsMade }) => sum + reqsMade, 0);
  const hasFailed = result.non2xx > 0 || result.errors > 0 || result.timeouts > 0;
  if (hasFailed || sent !== amount || answers !== sent) {
    throw new Error(
      `${url}: ${answers} answers to ${sent} of ${amount} requests, ` +
        `${result.non2xx} not 2xx (${statuses(result)}), ${result.errors} errors`,
    );
  }
  const sortedMs = latenciesMs.subarray(0, answers).sort();
  const perRequestUs = (part: keyof Cpu) =>
    cpuAtStart && cpuAtEnd && ((cpuAtEnd[part] - cpuAtStart[part]) * 1000) / answers;
  return {
    requests: answers,
    requestsPerSecond: (answers * 1000) / (lastMs - firstMs),
    p50Ms: percentile(sortedMs, 50),
    p99Ms: percentile(sortedMs, 99),
    p999Ms: percentile(sortedMs, 99.9),
    cpuUs: perRequestUs('allMs'),
    mainThreadCpuUs: perRequestUs('mainMs'),
  };
}

/** What autocannon's clients have beyond their type. */
interface CountingClient {
  responseMax?: number;
  readonly reqsMade: number;
  _doRequest(): void;
  destroy(): void;
}

/**
 * Lets a connection send its share and wait for all the answers to it. By itself autocannon's client
 * hangs up at the first answer behind its last request, with the rest of its pipeline in flight. It
 * comes for its next request once for each answer, and `pipelining` times at each connect.
 */
function endWhenAnswered(
  client: autocannon.Client,
  { pipelining, requests }: LoadShape,
): CountingClient {
  const counting = client as unknown as CountingClient;
  const send = counting._doRequest;
  if (typeof send !== 'function') throw new Error('autocannon has changed: no _doRequest');
  let idle = 0;
  delete counting.responseMax;
  counting._doRequest = () => {
    if (counting.reqsMade < requests) send.call(client);
    else if (++idle === pipelining) counting.destroy();
  };
  return counting;
}

/** Every n-th request: autocannon prepares the whole list anew for each connection. */
function thinned(requests: readonly autocannon.Request[]): autocannon.Request[] {
  const step = Math.ceil(requests.length / SHARED_REQUESTS_MAX);
  return requests.filter((_, i) => i % step === 0);
}

function statuses({ statusCodeStats }: autocannon.Result): string {
  return Object.entries(statusCodeStats ?? {})
    .map(([status, { count }]) => `${status}: ${count}`)
    .join(', ');
}

/** Gives each new client its own stretch of the requests. */
function dealer(requests: readonly autocannon.Request[], connections: number) {
  let dealt = 0;
  return (client: autocannon.Client): void => {
    const part = dealt++ % connections;
    const from = Math.floor((part * requests.length) / connections);
    const to = Math.floor(((part + 1) * requests.length) / connections);
    client.setRequests(requests.slice(from, to));
  };
}

interface Cpu {
  readonly allMs: number;
  readonly mainMs: number;
}

function cpuMs(pid: number): Cpu {
  return { allMs: processCpuMs(pid), mainMs: mainThreadCpuMs(pid) };
}
