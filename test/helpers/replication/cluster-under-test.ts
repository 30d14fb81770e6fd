/** Instances of one cluster as processes, each with a folder of its own. Tests only. */

import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { NodeFileSystem } from '../../../src/log/file-system.ts';
import { readLog } from '../../../src/log/segment-reader.ts';
import { SLOT_BYTES, SLOT_DOUBLES, SLOT_PRICE } from '../../../src/ring/slot.ts';
import { polled } from '../bounded.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { type CommandRun, runCommandLine } from '../processes/command-line.ts';
import { ServiceProcess } from '../processes/service-process.ts';

const WAIT_MS_MAX = 60_000;

/** An event as it is logged: its price, and its whole slot. */
export interface LoggedEvent {
  readonly price: number;
  readonly text: string;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Readonly<Record<string, unknown>>;
}

export class InstanceUnderTest {
  readonly process: ServiceProcess;
  readonly #origin: string;

  constructor(process: ServiceProcess, port: number) {
    this.process = process;
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

  batch(events: readonly object[], headers: Readonly<Record<string, string>>): Promise<Answer> {
    return this.#ask('/api/v1/events/batch', {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', ...headers },
      body: `${events.map((event) => JSON.stringify(event)).join('\n')}\n`,
    });
  }

  get(id: string, minSeq = 0): Promise<Answer> {
    return this.#ask(`/api/v1/products/${id}?min_seq=${minSeq}&wait=30s`, {});
  }

  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.process.exited;
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

  /** Begins a cluster of a fresh name; `copies` of its stream. */
  static async begin(
    t: Test,
    url: string,
    copies: number,
    more: Readonly<Record<string, string>> = {},
  ): Promise<ClusterUnderTest> {
    const root = tempDir(t);
    const environment = {
      ...{ LOG: 'jetstream', NATS_URL: url, CLUSTER: `t${randomUUID().slice(0, 8)}` },
      ...{ MAX_MEMORY_USAGE: '16MB', WORKERS: '1', STORAGE_TIMEOUT: '5s' },
      ...more,
    };
    const args = ['cluster', 'init', '--replicas', String(copies), '--size', '256MB'];
    const done = await runCommandLine(t, args, { env: environment, cwd: root });
    if (done.code !== 0) throw new Error(`cluster init: ${done.stderr}`);
    return new ClusterUnderTest(t, environment, root);
  }

  /** Starts the instance of this name, also again; resolves when it takes writes. */
  async start(
    name: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<InstanceUnderTest> {
    const cwd = join(this.#root, name);
    mkdirSync(cwd, { recursive: true });
    const env = { ...this.#environment, ...more };
    const process = await ServiceProcess.start(this.#t, { env, cwd });
    const port = await process.ready();
    await polled(() => isReady(port), WAIT_MS_MAX, `${name} to take writes`);
    return new InstanceUnderTest(process, port);
  }

  command(args: readonly string[]): Promise<CommandRun> {
    return runCommandLine(this.#t, args, { env: this.#environment, cwd: this.#root });
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
    const process = ServiceProcess.spawn(this.#t, { env: { ...this.#environment, ...more }, cwd });
    await process.exited;
    return process.stderr + process.stdout;
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

  /** Posts until it is acknowledged; returns the seq. */
  async posted(instance: InstanceUnderTest, event: object): Promise<number> {
    let seq = 0;
    await this.polled(async () => {
      const { status, body } = await instance.post(event);
      seq = Number(body.seq);
      return status === 202 ? true : undefined;
    });
    return seq;
  }

  polled(ask: () => Promise<true | undefined>): Promise<true> {
    return polled(ask, WAIT_MS_MAX, 'the cluster');
  }
}

async function isReady(port: number): Promise<true | undefined> {
  const { ok } = await fetch(`http://127.0.0.1:${port}/readyz`);
  return ok ? true : undefined;
}
