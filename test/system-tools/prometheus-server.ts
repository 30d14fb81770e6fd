/** A real Prometheus that scrapes a service once a second, on a free port; it never outlives the test. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const PROMETHEUS = '/usr/bin/prometheus';
const START_MS_MAX = 60_000;
const DEPLOY = new URL('../../deploy/prometheus/', import.meta.url);

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  /** Seconds since the epoch, and the value as text. */
  readonly value: readonly [number, string];
}

export interface Prometheus {
  /** What an instant query gives; rejects with what Prometheus says against it. */
  query(expression: string): Promise<readonly Sample[]>;
  /** Asks its API. */
  get<T>(path: string): Promise<T>;
}

/** Starts it with the shipped configuration and rules, but for the target and the times. */
export async function startPrometheus(t: Test, servicePort: number): Promise<Prometheus> {
  const folder = tempDir(t);
  const shipped = readFileSync(new URL('prometheus.yml', DEPLOY), 'utf8');
  const config = shipped
    .replaceAll('15s', '1s')
    .replace('localhost:8080', `127.0.0.1:${servicePort}`);
  writeFileSync(join(folder, 'prometheus.yml'), config);
  writeFileSync(join(folder, 'alerts.yml'), readFileSync(new URL('alerts.yml', DEPLOY)));
  const port = await freePort();
  const child = spawn(
    PROMETHEUS,
    [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const exited = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const base = `http://127.0.0.1:${port}`;
  await polled(
    async () => {
      if (child.exitCode !== null) throw new Error(`prometheus ended: ${said}`);
      const answer = await fetch(`${base}/-/ready`).catch(() => undefined);
      return answer?.status === 200 || undefined;
    },
    START_MS_MAX,
    'Prometheus to be ready',
  );
  const get = async <T>(path: string): Promise<T> => {
    const answer = await fetch(`${base}/api/v1/${path}`);
    const { status, data, error } = (await answer.json()) as {
      status: string;
      data: T;
      error?: string;
    };
    if (status !== 'success') throw new Error(`${path}: ${error}`);
    return data;
  };
  const query = async (expression: string) =>
    (await get<{ result: Sample[] }>(`query?query=${encodeURIComponent(expression)}`)).result;
  return { get, query };
}
