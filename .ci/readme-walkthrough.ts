/**
 * Does what the README tells a new user to do, word for word, and checks what comes back: starts
 * the service with `make run`, runs the README's curl commands, stops it, starts it again with
 * `npm start` and finds the product still there. A part of `.ci/run`; uses the default port and a
 * data folder of its own. Ends only the processes that it started, by their ids.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { descendantsOf, isRunning } from './process-tree.ts';
import { commandsOf, examplesOf } from './readme-commands.ts';

const REPOSITORY = fileURLToPath(new URL('..', import.meta.url));
const BASE_URL = 'http://localhost:8080';
const INTERVAL_MS = 100;
const START_TRIES_MAX = 600;
const STOP_TRIES_MAX = 300;
const READ_TRIES_MAX = 50;

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

async function walk(commands: readonly string[], dataDir: string): Promise<void> {
  const post = commandWith(commands, 'curl', 'POST', '/api/v1/events', '"price":49.99');
  const get = commandWith(commands, 'curl', '/api/v1/products/abc123');
  const health = commandWith(commands, 'curl', '/health');
  commandWith(commands, 'make test');

  const first = await start(commandWith(commands, 'make run'), dataDir);
  try {
    expectAnswer(await curl(health), 200, 'application/json', '{"status":"healthy"}');
    const durable = '{"status":"durable","product_id":"abc123","seq":1}';
    expectAnswer(await curl(post), 202, 'application/json', durable);
    await expectProduct(get);
    const wrong = await curl(post.replace('"price":49.99', '"price":"49.99"'));
    expectAnswer(wrong, 400, 'application/problem+json');
    await expectProduct(get);
    // All the others, in the README's order.
    const others = commands.filter((each) => ![post, get, health].includes(each));
    for (const { command, status } of examplesOf(others)) {
      const { status: found } = await curl(command);
      expect(found === status, `${status} to ${command}`, found);
    }
    // To Node itself: make, once signalled, no longer tells the exit code of what it ran.
    const service = descendantsOf(first.pid ?? 0).find(
      ({ command: [program = '', ...rest] }) =>
        program.endsWith('node') && rest.includes('src/main.ts'),
    );
    expect(service !== undefined, 'make run starts src/main.ts', 'no such process');
    await stop(first, 'SIGTERM', service?.pid ?? 0, 'make run');
  } finally {
    killTree(first);
  }

  const second = await start('npm start', dataDir);
  try {
    await expectProduct(get);
    // To npm alone, as a service manager does: npm passes it on and exits with the service's code.
    await stop(second, 'SIGTERM', second.pid ?? 0, 'npm start, ended by its id');
  } finally {
    killTree(second);
  }

  const third = await start('npm start', dataDir);
  try {
    // To the whole process group, as Ctrl-C does: npm passes it on too, so that it comes twice.
    await stop(third, 'SIGINT', -(third.pid ?? 0), 'npm start, ended by Ctrl-C');
  } finally {
    killTree(third);
  }
}

/** Finds the first command of the README that holds all of `parts`. */
function commandWith(commands: readonly string[], ...parts: readonly string[]): string {
  const command = commands.find((each) => parts.every((part) => each.includes(part)));
  if (command === undefined) {
    throw new Error(`expected a command with ${parts.join(' … ')} in README.md, found none`);
  }
  return command;
}

/** Starts the service in the background, in a process group of its own; returns once it is ready. */
async function start(command: string, dataDir: string): Promise<ChildProcess> {
  expect((await get('/livez')) === undefined, 'nobody listens on port 8080', 'an answer');
  const child = spawn('/bin/sh', ['-c', `exec ${command}`], {
    cwd: REPOSITORY,
    env: { ...process.env, DATA_DIR: dataDir },
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const ready = await eventually(START_TRIES_MAX, async () => {
    if (hasEnded(child)) throw new Error(`expected ${command} to start, found that it ended`);
    return (await get('/readyz')) === 200;
  });
  if (!ready) killTree(child);
  expect(ready, `${command}: /readyz answers 200`, 'no such answer');
  return child;
}

/** Signals `pid` (or that group, if negative) and checks that all of `child` ends in order. */
async function stop(
  child: ChildProcess,
  signal: 'SIGTERM' | 'SIGINT',
  pid: number,
  name: string,
): Promise<void> {
  const below = descendantsOf(child.pid ?? 0);
  process.kill(pid, signal);
  await eventually(STOP_TRIES_MAX, async () => hasEnded(child));
  const left = below.filter((each) => isRunning(each.pid));
  killAll(left.map((each) => each.pid));
  expect(left.length === 0, `${name}: no process is left`, JSON.stringify(left));
  const outcome = child.exitCode ?? child.signalCode ?? 'still running';
  expect(outcome === 0, `${name}: exit code 0`, outcome);
}

/** Runs a README command, made to show status and headers. */
async function curl(command: string): Promise<Answer> {
  const { stdout } = await promisify(execFile)(
    '/bin/sh',
    ['-c', command.replace(/^curl /, 'curl --silent --show-error --include --max-time 10 ')],
    { timeout: 20_000 },
  );
  const headEnd = stdout.indexOf('\r\n\r\n');
  const head = stdout.slice(0, headEnd);
  return {
    status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]),
    contentType: /^content-type: *([^;\r]*)/im.exec(head)?.[1] ?? 'none',
    body: stdout.slice(headEnd + 4),
  };
}

/** A durable event is visible a moment later. */
async function expectProduct(command: string): Promise<void> {
  await eventually(READ_TRIES_MAX, async () => (await curl(command)).status === 200);
  const product = '{"id":"abc123","price":49.99,"stock":100}';
  expectAnswer(await curl(command), 200, 'application/json', product);
}

function expectAnswer(answer: Answer, status: number, contentType: string, body?: string): void {
  const { body: found } = answer;
  const met =
    answer.status === status &&
    answer.contentType === contentType &&
    (body === undefined || found === body);
  expect(met, `${status} ${contentType} ${body ?? ''}`, JSON.stringify(answer));
}

function expect(met: boolean, what: string, found: string | number): void {
  if (!met) throw new Error(`expected ${what}, found ${found}`);
  console.log(`ok - ${what}`);
}

/** The status of an answer, or `undefined` if nobody answers. */
async function get(path: string): Promise<number | undefined> {
  try {
    const reply = await fetch(BASE_URL + path, { signal: AbortSignal.timeout(2_000) });
    await reply.arrayBuffer();
    return reply.status;
  } catch {
    return undefined;
  }
}

async function eventually(triesMax: number, holds: () => Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < triesMax; tries++) {
    if (await holds()) return true;
    await delay(INTERVAL_MS);
  }
  return false;
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

/** Ends what is left of a start that went wrong; does nothing after one that ended in order. */
function killTree(child: ChildProcess): void {
  if (child.pid === undefined || hasEnded(child)) return;
  killAll([...descendantsOf(child.pid).map((each) => each.pid), child.pid]);
}

function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It ended by itself in the meantime.
    }
  }
}

// The service runs in groups of its own, which a signal to ours does not reach.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    killAll(descendantsOf(process.pid).map((each) => each.pid));
    process.exit(1);
  });
}

const dataDir = mkdtempSync(join(tmpdir(), 'product-service-walkthrough-'));
try {
  await walk(commandsOf(readFileSync(join(REPOSITORY, 'README.md'), 'utf8')), dataDir);
} catch (error) {
  console.error(`not ok - ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}
