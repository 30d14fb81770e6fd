/** A cluster of instances over the bench's NATS servers, each a process with a folder of its own. Main thread of the bench. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '@nats-io/transport-node';
import type { NatsProcesses } from './nats-processes.ts';
import { ServerProcess } from './server-process.ts';
import { START_ENV } from './start-env.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const APPLIED_MS_MAX = 60_000;
/** All share the machine's cores; each instance has as few threads as it can. */
export const LEAN = { PORT: '0', WORKERS: '1', MAX_MEMORY_USAGE: '512MB' } as const;

/** What `cluster status` prints, as far as it is needed. */
interface Status {
  readonly stream: { readonly leader: string; readonly last: number };
  readonly instances: readonly { readonly kept: number }[];
}

export class BenchCluster {
  readonly nats: NatsProcesses;
  readonly #folder: string;
  readonly #env: Readonly<Record<string, string>>;

  private constructor(nats: NatsProcesses, folder: string, name: string) {
    this.nats = nats;
    this.#folder = folder;
    this.#env = {
      ...LEAN,
      ...{ LOG: 'jetstream', NATS_URL: nats.url, CLUSTER: name, STORAGE_TIMEOUT: '12s' },
    };
  }

  /** Begins a cluster whose stream has `replicas` copies. */
  static begin(nats: NatsProcesses, folder: string, name: string, replicas: number): BenchCluster {
    const cluster = new BenchCluster(nats, folder, name);
    cluster.#command(['cluster', 'init', '--replicas', String(replicas), '--size', '1GB']);
    return cluster;
  }

  /** Starts the instance of this name and resolves when it serves and takes writes. */
  async start(name: string): Promise<ServerProcess> {
    const instance = await ServerProcess.start('src/main.ts', {
      ...this.#env,
      DATA_DIR: join(this.#folder, name),
    });
    await untilOk(`${instance.url}/readyz`);
    return instance;
  }

  /** Name of the server that leads the stream. */
  leader(): string {
    return this.#status().stream.leader;
  }

  /** Takes all out of the stream that every instance has on disk: whoever is new needs the data of another one. */
  async trim(): Promise<void> {
    let { stream, instances } = this.#status();
    while (instances.some(({ kept }) => kept < stream.last))
      ({ stream, instances } = this.#status());
    const connection = await connect({ servers: this.nats.url.split(',') });
    const subject = `$JS.API.STREAM.PURGE.PS_${this.#env.CLUSTER}_1`;
    await connection.request(subject, JSON.stringify({ seq: stream.last }));
    await connection.close();
  }

  #status(): Status {
    return JSON.parse(this.#command(['cluster', 'status']));
  }

  #command(args: readonly string[]): string {
    const env = { ...START_ENV, ...process.env, ...this.#env };
    return execFileSync(process.execPath, [MAIN, ...args], { env, encoding: 'utf8' });
  }
}

/** Resolves when the service at `url` has applied the event `seq`. */
export function applied(url: string, seq: number): Promise<void> {
  return untilOk(`${url}/api/v1/products/none?min_seq=${seq}&wait=30s`, [404]);
}

async function untilOk(url: string, statuses: readonly number[] = [200]): Promise<void> {
  const deadlineMs = performance.now() + APPLIED_MS_MAX;
  for (;;) {
    const answer = await fetch(url).catch(() => undefined);
    await answer?.arrayBuffer();
    if (answer !== undefined && statuses.includes(answer.status)) return;
    if (performance.now() > deadlineMs) throw new Error(`${url}: ${answer?.status}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
