/**
 * Instances of one cluster as processes, each with a folder of its own. Tests only.
 * (Over 300 lines: what is asked of an instance, and of the cluster, each in a few lines that nothing else needs.)
 */

import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import type { Test } from 'tap';
import { NodeFileSystem } from '../../../src/log/file-system.ts';
import { readLog } from '../../../src/log/segment-reader.ts';
import { SLOT_BYTES, SLOT_DOUBLES, SLOT_PRICE } from '../../../src/ring/slot.ts';
import { polled } from '../bounded.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { type CommandRun, MAIN, runCommandLine } from '../processes/command-line.ts';
import { ServiceProcess } from '../processes/service-process.ts';

const WAIT_MS_MAX = 120_000;
/** Requests at a time. */
const TOGETHER = 50;
/** What a command says that has waited for servers which elect their leader, or for a machine that stood still. */
const NOT_YET = /JetStream|\btimeout\b|leads|no responders/i;
/** Tries of what is not to wait. */
const TRIES = 10;

/** An event as it is logged: its price, and its whole slot. */
export interface LoggedEvent {
  readonly price: number;
  readonly text: string;
}

/** A product as a page lists it. */
export interface Listed {
  readonly id: string;
  readonly price: number | null;
  readonly stock: number | null;
}

export interface ClusterStatus {
  readonly generation: number;
  readonly stream: { readonly first: number; readonly last: number; readonly bytes: number };
  readonly sinks: Readonly<Record<string, { readonly pid: number } | null>>;
  readonly instances: readonly {
    readonly id: string;
    readonly pid: number;
    readonly role: string;
    readonly position: number;
    readonly kept: number;
    readonly chain: string;
  }[];
}

export interface StreamState {
  readonly bytes: number;
  readonly first_seq: number;
  readonly last_seq: number;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

export class InstanceUnderTest {
  readonly process: ServiceProcess;
  readonly port: number;
  readonly #origin: string;

  constructor(process: ServiceProcess, port: number) {
    this.process = process;
    this.port = port;
    this.#origin = `http://127.0.0.1:${port}`;
  }

  post(
    event: object,
    headers: Readonly<Record<string, string>> = {},
    query = '',
    signal?: AbortSignal,
  ): Promise<Answer> {
    return this.#ask(`/api/v1/events${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(event),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  patch(
    id: string,
    fields: object,
    headers: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<Answer> {
    return this.#ask(`/api/v1/products/${id}`, {
      method: 'PATCH',
      headers: { 'content-type': 'application/merge-patch+json', ...headers },
      body: JSON.stringify(fields),
      signal,
    });
  }

  batch(events: readonly object[], headers: Readonly<Record<string, string>>): Promise<Answer> {
    return this.#ask('/api/v1/events/batch', {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', ...headers },
      body: `${events.map((event) => JSON.stringify(event)).join('\n')}\n`,
    });
  }

  get(id: string, minSeq = 0, signal?: AbortSignal): Promise<Answer> {
    const path = `/api/v1/products/${id}?min_seq=${minSeq}&wait=30s`;
    return this.#ask(path, signal === undefined ? {} : { signal });
  }

  /** All products, page by page, in the order of their places in the store. */
  async pages(): Promise<unknown[]> {
    const products: unknown[] = [];
    let cursor = '';
    for (;;) {
      const { body } = await this.#ask(`/api/v1/products?view=full&limit=500${cursor}`, {});
      if (!Array.isArray(body.products)) throw new Error(JSON.stringify(body));
      products.push(...body.products);
      if (typeof body.next !== 'string') return products;
      cursor = `&cursor=${body.next}`;
    }
  }

  /** The same, as far as sinks have it. */
  async products(): Promise<readonly Listed[]> {
    return (await this.pages()) as Listed[];
  }

  /** What became of the events up to `last`. */
  async outcomes(last: number): Promise<[number, unknown][]> {
    const outcomes: [number, unknown][] = [];
    for (let from = 1; from <= last; from += TOGETHER) {
      const seqs = Array.from({ length: Math.min(TOGETHER, last + 1 - from) }, (_, i) => from + i);
      const answers = await Promise.all(seqs.map((seq) => this.#ask(`/api/v1/events/${seq}`, {})));
      for (const [i, { status, body }] of answers.entries()) {
        outcomes.push([from + i, status === 200 ? body.status : body.code]);
      }
    }
    return outcomes;
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.process.exited;
  }

  read(path: string): Promise<Answer> {
    return this.#ask(path, {});
  }

  ready(query = ''): Promise<Answer> {
    return this.#ask(`/readyz${query}`, {});
  }

  /** Whether it has found that the stream is not the one that it followed. */
  forked(): boolean {
    return this.process.log.some(({ reason }) => String(reason).startsWith('the stream ends at'));
  }

  async stop(): Promise<void> {
    this.process.kill('SIGTERM');
    await this.process.exited;
  }

  async #ask(path: string, init: RequestInit): Promise<Answer> {
    const answer = await fetch(`${this.#origin}${path}`, init);
    const text = await answer.text();
    const { status, headers } = answer;
    return { status, headers, body: text === '' ? {} : JSON.parse(text) };
  }
}

export class ClusterUnderTest {
  readonly #t: Test;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #root: string;

  private constructor(t: Test, environment: Readonly<Record<string, string>>, root: string) {
    this.#t = t;
    this.#environment = environment;
    this.#root = root;
  }

  /** Begins a cluster of a fresh name; `copies` of its stream, of `size` each. */
  static async begin(
    t: Test,
    url: string,
    copies: number,
    more: Readonly<Record<string, string>> = {},
    size = '256MB',
  ): Promise<ClusterUnderTest> {
    const root = tempDir(t);
    const environment = {
      ...{ LOG: 'jetstream', NATS_URL: url, CLUSTER: `t${randomUUID().slice(0, 8)}` },
      ...{ MAX_MEMORY_USAGE: '16MB', WORKERS: '1', STORAGE_TIMEOUT: '60s' },
      ...more,
    };
    const args = ['cluster', 'init', '--replicas', String(copies), '--size', size];
    let tries = 0;
    const isBegun = async () => {
      const { code, stderr } = await runCommandLine(t, args, { env: environment, cwd: root });
      // The one before was told too late that it is.
      if (code === 0 || (tries > 0 && stderr.includes('exists already'))) return true;
      tries++;
      if (!NOT_YET.test(stderr)) throw new Error(`cluster init: ${stderr}`);
      return undefined;
    };
    await polled(isBegun, WAIT_MS_MAX, 'the cluster to begin');
    return new ClusterUnderTest(t, environment, root);
  }

  /** Starts the instance of this name, also again; resolves when it takes writes, or what `query` asks for. */
  async start(
    name: string,
    more: Readonly<Record<string, string>> = {},
    query = '',
  ): Promise<InstanceUnderTest> {
    const cwd = join(this.#root, name);
    mkdirSync(cwd, { recursive: true });
    const env = { ...this.#environment, ...more };
    const process = await ServiceProcess.start(this.#t, { env, cwd });
    this.#t.teardown(() => {
      if (this.#t.passing()) return;
      for (const { level, time, msg, reason } of process.log.slice(-12)) {
        this.#t.comment(`${name} ${time} ${level} ${msg} ${reason ?? ''}`);
      }
    });
    const port = await process.ready();
    await polled(() => isReady(port, query), WAIT_MS_MAX, `${name} to be ready`);
    return new InstanceUnderTest(process, port);
  }

  /** DATA_DIR of an instance. */
  dataOf(name: string): string {
    return join(this.#root, name, 'data');
  }

  /** What this cluster is called. */
  get name(): string {
    return this.#environment.CLUSTER ?? '';
  }

  /** What `cluster status` prints, once it has heard so many instances: it waits a second for them. */
  async status(instances = 0): Promise<ClusterStatus> {
    const ask = async () => {
      const { code, stdout, stderr } = await this.command(['cluster', 'status']);
      if (code !== 0 && !NOT_YET.test(stderr)) throw new Error(stderr);
      const status = code === 0 ? (JSON.parse(stdout) as ClusterStatus) : undefined;
      return (status?.instances.length ?? -1) >= instances ? status : undefined;
    };
    return polled(ask, WAIT_MS_MAX, `${instances} instances in the status`);
  }

  /** The same, once all of them say one chain: whoever has not seen the last message yet says another one. */
  async agreed(instances: number): Promise<ClusterStatus> {
    const ask = async () => {
      const status = await this.status(instances);
      return new Set(status.instances.map(({ chain }) => chain)).size === 1 ? status : undefined;
    };
    return polled(ask, WAIT_MS_MAX, 'one chain');
  }

  /** The stream begins with `position` from now on. */
  async purge(position: number): Promise<void> {
    await this.#ask('PURGE', { seq: position });
  }

  /** What NATS says of the stream; faster than `status`. */
  async stream(): Promise<StreamState> {
    return (await this.#ask('INFO', {})).state;
  }

  async #ask(what: string, request: object): Promise<{ readonly state: StreamState }> {
    const connection = await connect({ servers: this.#environment.NATS_URL?.split(',') ?? [] });
    const subject = `$JS.API.STREAM.${what}.PS_${this.name}_1`;
    const text = JSON.stringify(request);
    const answer = await connection.request(subject, text, { timeout: WAIT_MS_MAX });
    await connection.close();
    const { error, ...read } = answer.json() as {
      readonly error?: { readonly description: string };
      readonly state: StreamState;
    };
    if (error !== undefined) throw new Error(error.description);
    return read;
  }

  /** Starts the instance of this name, and kills it after some time. */
  async startsAndIsKilled(name: string, afterMs: number): Promise<void> {
    const cwd = join(this.#root, name);
    mkdirSync(cwd, { recursive: true });
    const process = ServiceProcess.spawn(this.#t, { env: this.#environment, cwd });
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    process.kill('SIGKILL');
    await process.exited;
  }

  command(args: readonly string[]): Promise<CommandRun> {
    return runCommandLine(this.#t, args, { env: this.#environment, cwd: this.#root });
  }

  /** Types a command in the folder of an instance, whose data is in ./data. */
  shell(name: string, command: string, more: Readonly<Record<string, string>> = {}): string {
    const typed = command.replaceAll('product-service ', `'${process.execPath}' '${MAIN}' `);
    const cwd = join(this.#root, name);
    const env = { ...process.env, ...this.#environment, ...more };
    for (let tries = 1; ; tries++) {
      const run = spawnSync('sh', ['-ec', typed], { cwd, env, encoding: 'utf8' });
      if (run.status === 0) return run.stdout;
      if (tries === TRIES || !NOT_YET.test(run.stderr)) return run.stderr;
    }
  }

  /** Copies the data of a running instance to a folder of one that is to come. */
  async backup(from: string, to: string): Promise<void> {
    mkdirSync(join(this.#root, to));
    const folders = [join(this.#root, from, 'data'), '--to', join(this.#root, to, 'data')];
    const done = await this.command(['backup', ...folders]);
    if (done.code !== 0) throw new Error(`backup: ${done.stderr}`);
  }

  /** Starts one that can't start; returns what it says. */
  async tries(name: string, more: Readonly<Record<string, string>>): Promise<string> {
    const cwd = join(this.#root, name);
    mkdirSync(cwd, { recursive: true });
    const env = { ...this.#environment, ...more };
    for (let tries = 1; ; tries++) {
      const process = ServiceProcess.spawn(this.#t, { env, cwd });
      await process.exited;
      const isLate = /\btimeout\b/i.test(process.stderr);
      if (tries === TRIES || !isLate) return process.stderr + process.stdout;
    }
  }

  /** All events in an instance's local log, which has to be stopped. */
  events(name: string): LoggedEvent[] {
    const events: LoggedEvent[] = [];
    const folder = join(this.#root, name, 'data', 'log');
    readLog(new NodeFileSystem(), folder, 1, (slots, first, { count }) => {
      for (let i = first; i < first + count; i++) {
        const text = Buffer.from(slots.bytes.subarray(i * SLOT_BYTES, (i + 1) * SLOT_BYTES));
        events.push({
          price: slots.doubles[i * SLOT_DOUBLES + SLOT_PRICE],
          text: text.toString('hex'),
        });
      }
    });
    return events;
  }

  /** Posts until it is acknowledged, under one key; returns the seq. */
  async posted(
    instance: InstanceUnderTest,
    event: object,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<number> {
    let seq = 0;
    const keyed = { 'idempotency-key': randomUUID(), ...headers };
    await this.polled(async () => {
      const answer = await instance.post(event, keyed).catch(() => undefined);
      seq = Number(answer?.body.seq);
      return answer?.status === 202 ? true : undefined;
    });
    return seq;
  }

  polled(ask: () => Promise<true | undefined>): Promise<true> {
    return polled(ask, WAIT_MS_MAX, 'the cluster');
  }
}

async function isReady(port: number, query: string): Promise<true | undefined> {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz${query}`).catch(() => undefined);
  return answer?.ok === true ? true : undefined;
}
