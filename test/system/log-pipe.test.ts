/**
 * Standard output that nobody reads, or whose reader died: the service goes on serving, and stops when it
 * is told to. What can still come out comes out, whole and in order.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { UnreadPipe } from '../helpers/processes/unread-pipe.ts';
import { tried } from '../helpers/tries.ts';

const BURST = fileURLToPath(new URL('../helpers/processes/log-burst.ts', import.meta.url));
const WAIT_MS_MAX = 60_000;
/** A reader that pauses for longer may be taken for gone: the exit waits for it a quarter of a second. */
const PAUSE_MS_MAX = 100;
const ENV = { MAX_MEMORY_USAGE: '16MB', WORKERS: '2' };

/** A service that is ready, with its log in `pipe`. */
async function startWith(t: Test, pipe: UnreadPipe) {
  const service = ServiceProcess.spawn(t, {
    cwd: tempDir(t),
    env: ENV,
    stdout: pipe.childEnd,
  });
  const isReady = async () => {
    service.took(pipe.read());
    return service.log.some(({ msg }) => msg.startsWith('ready on')) || undefined;
  };
  await polled(isReady, WAIT_MS_MAX, 'the service to be ready');
  const client = new ApiClient(await service.ready());
  t.teardown(() => client.close());
  return { service, client };
}

async function servesAll(t: Test, client: ApiClient, price: number): Promise<void> {
  t.equal((await client.get('/livez')).status, 200, 'it lives');
  const written = await client.post({ product_id: 'p', price, stock: 1 });
  t.equal(written.status, 202, 'writes are durable');
  await client.visible('p', price);
}

t.test('a pipe that nobody reads', async (t) => {
  const pipe = new UnreadPipe(t);
  const { service, client } = await startWith(t, pipe);
  pipe.fill();
  // A line of the log for each.
  for (let n = 0; n < 20; n++) service.kill('SIGHUP');
  await servesAll(t, client, 1);

  const hasLine = () => {
    service.took(pipe.read());
    return service.log.some(({ msg }) => msg === 'SIGHUP changes nothing') || undefined;
  };
  await polled(hasLine, WAIT_MS_MAX, 'the lines, once somebody reads');

  pipe.fill();
  await servesAll(t, client, 2);
  t.strictSame(await service.stop(), { code: 0, signal: null }, 'it stops, as cleanly as ever');
  t.equal(service.stderr, '');
});

t.test('a reader that died', async (t) => {
  const pipe = new UnreadPipe(t);
  const { service, client } = await startWith(t, pipe);
  pipe.closeReader();
  for (let n = 0; n < 20; n++) service.kill('SIGHUP');
  await servesAll(t, client, 1);
  t.strictSame(await service.stop(), { code: 0, signal: null });
  t.equal(service.stderr, '');
});

/** Runs log-burst.ts with its log in `pipe`. */
function burst(t: Test, pipe: UnreadPipe, ...args: readonly string[]) {
  const child = spawn(process.execPath, [BURST, ...args], {
    stdio: ['ignore', pipe.childEnd, 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return {
    exited: once(child, 'close'),
    told: (text: string) =>
      polled(() => stderr.includes(text) || undefined, WAIT_MS_MAX, `stderr to say ${text}`),
  };
}

t.test('what is logged just before the exit is complete if somebody reads', async (t) => {
  const lines = 5_000; // ten times what a pipe holds
  let text = '';
  await tried(async () => {
    const pipe = new UnreadPipe(t);
    const { exited } = burst(t, pipe, `${lines}`, '60');
    text = '';
    let code: unknown;
    void exited.then(([exitCode]) => {
      code = exitCode;
    });
    let readMs = Number.POSITIVE_INFINITY;
    let pausedMs = 0;
    const all = () => {
      const isOver = code !== undefined;
      text += pipe.read();
      if (text !== '') {
        pausedMs = Math.max(pausedMs, performance.now() - readMs);
        readMs = performance.now();
      }
      return isOver || undefined;
    };
    await polled(all, WAIT_MS_MAX, 'the exit');
    t.equal(code, 0);
    return pausedMs < PAUSE_MS_MAX;
  }, 'a reader that read all the while');
  const numbers = text.trimEnd().split('\n');
  t.strictSame(
    numbers.map((line) => JSON.parse(line).n),
    Array.from({ length: lines }, (_, n) => n),
  );
});

t.test(
  'more than is kept is dropped, and a line says how many, where they are missing',
  async (t) => {
    const pipe = new UnreadPipe(t);
    const lines = 5_000;
    const { exited, told } = burst(t, pipe, `${lines}`, '1000', 'info', '60000');
    await told('done');
    let text = '';
    const hasNote = () => {
      text += pipe.read();
      return / lines were dropped here.*\n/.test(text) || undefined;
    };
    await polled(hasNote, WAIT_MS_MAX, 'the note');
    let next = 0;
    let dropped = 0;
    for (const line of text
      .trimEnd()
      .split('\n')
      .map((each) => JSON.parse(each))) {
      if (line.msg === 'burst') {
        if (line.n !== next++) throw new Error(`${line.n} comes after ${next - 2}`);
      } else {
        t.match(line, { level: 40, lines: Number, pid: Number });
        dropped += line.lines;
        next += line.lines;
      }
    }
    t.equal(next, lines, 'each line is there or counted');
    t.ok(dropped > 0);
    t.ok(exited);
  },
);

t.test('a fatal line comes out on standard error when standard output is full', async (t) => {
  const pipe = new UnreadPipe(t);
  pipe.fill();
  const { exited, told } = burst(t, pipe, '2000', '1000', 'fatal');
  await told('"msg":"the end"');
  const [code] = await bounded(exited, WAIT_MS_MAX, 'the exit');
  t.equal(code, 0, 'nobody reads: it exits all the same');
});
