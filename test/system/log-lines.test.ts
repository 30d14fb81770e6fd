/**
 * Lines of all threads come out whole, each on its own, and none is lost at the exit: of a stop, and of a
 * fatal error. Standard output is a pipe that is full when they are logged, and read only when the process is
 * about to end, so all of them are still on their way then.
 */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { UnreadPipe } from '../helpers/processes/unread-pipe.ts';
import { tried } from '../helpers/tries.ts';

const WAIT_MS_MAX = 60_000;
const MORTAL = new URL('../helpers/processes/mortal-threads.ts', import.meta.url).href;
/** Each makes main say a line. */
const HANGUPS = 100;

/** A reader that pauses for longer may be taken for gone: the exit waits for it a quarter of a second. */
const PAUSE_MS_MAX = 100;

/** A service whose log, one applier and a sink have something to say, which nobody has read. */
async function unread(t: Test) {
  const pipe = new UnreadPipe(t);
  const cwd = tempDir(t);
  const env = {
    WORKERS: '2',
    MAX_MEMORY_USAGE: '16MB',
    SINKS: 'redis://127.0.0.1:1', // where nobody listens
    NODE_OPTIONS: `--import=${MORTAL}`,
  };
  const service = ServiceProcess.spawn(t, { cwd, env, stdout: pipe.childEnd });
  const isReady = () => {
    service.took(pipe.read());
    return service.log.some(({ msg }) => msg.startsWith('ready on')) || undefined;
  };
  await polled(isReady, WAIT_MS_MAX, 'the service to be ready');
  const port = await service.ready();
  pipe.fill();
  for (let i = 0; i < HANGUPS; i++) service.kill('SIGHUP');
  service.kill('SIGWINCH');
  let exit: unknown;
  void service.exited.then((ended) => {
    exit = ended;
  });
  await polled(
    async () => {
      if (exit !== undefined) throw new Error(`${JSON.stringify(exit)}: ${service.stderr}`);
      // A connection that breaks is no fault here, as long as the process lives.
      const metrics = await scrape(port).catch((error: Error) => void t.comment(error.message));
      if (metrics === undefined) return undefined;
      const restarts = (thread: string) =>
        metrics.value('product_service_thread_restarts_total', { thread }) ?? 0;
      const failures = metrics.value('product_service_sink_failures_total') ?? 0;
      return (restarts('log') > 0 && restarts('applier') > 0 && failures > 0) || undefined;
    },
    WAIT_MS_MAX,
    'threads to die and a sink to fail',
  );
  /**
   * Reads until the process has ended; all of its lines, each of which must be JSON. `undefined` = this process could
   * not read all the while.
   */
  const readToEnd = async () => {
    let text = service.stdout;
    let readMs = performance.now();
    let pausedMs = 0;
    const isOver = () => {
      const isEnded = exit !== undefined;
      text += pipe.read();
      pausedMs = Math.max(pausedMs, performance.now() - readMs);
      readMs = performance.now();
      return isEnded || undefined;
    };
    await polled(isOver, WAIT_MS_MAX, 'the exit');
    if (pausedMs > PAUSE_MS_MAX) return undefined;
    t.equal(text.at(-1), '\n', 'the last line is whole');
    const messages = text
      .trimEnd()
      .split('\n')
      .map((line) => String(JSON.parse(line).msg));
    return { exit, messages };
  };
  return { service, readToEnd };
}

/** What each thread had to say is there. */
function checkAll(t: Test, messages: readonly string[]): void {
  const count = (text: string) => messages.filter((message) => message.startsWith(text)).length;
  t.ok(count('SIGHUP changes nothing') > 0, 'main');
  t.equal(count('log thread died'), 1, 'log');
  t.equal(count('applier died'), 1, 'applier');
  t.ok(count('sink redis: ') >= 1, 'sink');
  t.notOk(messages.some((message) => message.includes('were dropped here')));
}

/** Ends one by a signal, until all was read meanwhile. */
async function ended(t: Test, signal: NodeJS.Signals) {
  let found: { exit: unknown; messages: string[]; stderr: string } | undefined;
  await tried(async () => {
    const { service, readToEnd } = await unread(t);
    service.kill(signal);
    const read = await readToEnd();
    if (read !== undefined) found = { ...read, stderr: service.stderr };
    return read !== undefined;
  }, 'a reader that read all the while');
  return found ?? { exit: undefined, messages: [], stderr: '' };
}

t.test('at a stop', async (t) => {
  const { exit, messages } = await ended(t, 'SIGTERM');
  t.strictSame(exit, { code: 0, signal: null });
  checkAll(t, messages);
  t.ok(messages.includes('stopping'));
  t.equal(messages.at(-1), 'stopped');
});

t.test('at a fatal error', async (t) => {
  const { exit, messages, stderr } = await ended(t, 'SIGIO');
  t.strictSame(exit, { code: 1, signal: null });
  checkAll(t, messages);
  t.equal(messages.at(-1), 'uncaught error: exiting at once');
  t.match(stderr, /a fault that nobody expects/);
});
