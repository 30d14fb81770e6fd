/** Profiles as Go's own tool reads them: Debian's `go tool pprof`, with the URLs that docs/diagnosis.md has. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const run = promisify(execFile);
const WAIT_MS_MAX = 120_000;
/** Of what a machine that is slow for a while may spoil. */
const TRIES = 10;
/** Otherwise it waits for half as long again as the profile takes, and not for a service at work. */
const PATIENT = `-timeout=${WAIT_MS_MAX / 1000}`;
/** Nothing is left out for being small. */
const ALL = ['-nodecount=100000', '-nodefraction=0', '-edgefraction=0'];

async function pprof(cwd: string, ...args: readonly string[]): Promise<string> {
  // It keeps what it fetches in a folder of its own, and asks for no other tool.
  const env = { PATH: process.env.PATH ?? '', HOME: cwd, PPROF_TMPDIR: cwd, GOTOOLCHAIN: 'local' };
  const options = { cwd, env, timeout: WAIT_MS_MAX, maxBuffer: 64 << 20 };
  const { stdout } = await run('go', ['tool', 'pprof', ...args], options);
  return stdout;
}

/** Keeps the service at work until `work` is done. */
async function underLoad<T>(port: number, work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  over.catch(() => undefined);
  while (!isOver) await sendBatch(port, lines(20_000), { query: '?ack=applied' });
  return over;
}

async function started(t: Test): Promise<number> {
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: { WORKERS: '1' } });
  return service.ready();
}

t.test(
  'a CPU profile: functions of all threads by their names, and each thread apart',
  async (t) => {
    const port = await started(t);
    const cwd = tempDir(t);
    const file = join(cwd, 'cpu.pb.gz');
    const url = `http://localhost:${port}/debug/pprof/profile?seconds=2`;
    const names = ['runLogThread', 'runApplier'];
    const isIn = (name: string, text: string) => new RegExp(`%\\s+${name}\\b`).test(text);
    const isOf = (thread: string, text: string) => new RegExp(`: ${thread}$`, 'm').test(text);
    const threads = [
      ['main', undefined],
      ['log', 'runLogThread'],
      ['applier', 'runApplier'],
    ] as const;
    let top = '';
    let tags = '';
    // A thread may answer too late and be left out, as a comment says, or not be at work when it is looked at.
    const isWhole = () =>
      !top.includes('left out') &&
      names.every((name) => isIn(name, top)) &&
      threads.every(([thread]) => isOf(thread, tags));
    for (let tries = 0; tries < TRIES && !isWhole(); tries++) {
      await underLoad(port, pprof(cwd, PATIENT, '-proto', `-output=${file}`, url));
      top = await pprof(cwd, '-top', ...ALL, file);
      tags = await pprof(cwd, '-tags', file);
    }
    t.ok(existsSync(file));
    t.match(top, /^Type: cpu$/m);
    t.match(top, /^Duration: [\d.]+s/m);
    for (const name of names) t.ok(isIn(name, top), name);
    for (const [thread, own] of threads) {
      t.ok(isOf(thread, tags), thread);
      const apart = await pprof(cwd, '-top', ...ALL, `-tagfocus=thread=^${thread}$`, file);
      for (const name of names) {
        t.equal(isIn(name, apart), name === own, `${name} among the functions of ${thread}`);
      }
    }
  },
);

t.test('a heap profile: what was allocated, by function', async (t) => {
  const port = await started(t);
  const cwd = tempDir(t);
  const url = `http://localhost:${port}/debug/pprof/heap?seconds=2`;
  let rows: readonly string[] = [];
  // Samples of what is in use: the collector may just have been there.
  for (let tries = 0; tries < TRIES && rows.length <= 5; tries++) {
    const top = await underLoad(port, pprof(cwd, PATIENT, '-top', ...ALL, url));
    t.match(top, /^Type: inuse_space$/m);
    rows = top.match(/^\s*[\d.]+[kM]?B\s+[\d.]+%.*%\s+\S+/gm) ?? [];
  }
  t.ok(rows.length > 5, `${rows.length} functions`);
});
