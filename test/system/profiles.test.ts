/** Profiles of the running service: every thread is in them, at what it did, and nothing else waits. */
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, codeOf } from '../helpers/clients/api-client.ts';
import { lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { type ReadSample, readPprof } from '../helpers/pprof-file.ts';
import { HTTP_THREADS, startReadyService } from '../helpers/processes/service-in-process.ts';
import { tried } from '../helpers/tries.ts';

const WAIT_MS_MAX = 60_000;

/** Asks for a profile and keeps the service at work until it is there. */
async function profiled(port: number, path: string) {
  let isThere = false;
  const answer = fetch(`http://127.0.0.1:${port}${path}`).finally(() => {
    isThere = true;
  });
  while (!isThere) await sendBatch(port, lines(20_000), { query: '?ack=applied' });
  const { status, headers } = await answer;
  const bytes = new Uint8Array(await (await answer).arrayBuffer());
  if (status !== 200) throw new Error(`${status} ${new TextDecoder().decode(bytes)}`);
  return { status, headers, profile: readPprof(bytes) };
}

function threadsOf(samples: readonly ReadSample[]): string[] {
  return [...new Set(samples.map(({ labels }) => labels.thread ?? ''))].sort();
}

t.test('a CPU profile has all threads, at their work and not asleep', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const http = Number(HTTP_THREADS.HTTP_THREADS ?? 1) > 1 ? ['http'] : [];
  const wanted = ['applier', ...http, 'log', 'main'];
  // Samples are taken now and then: what each of them must be is judged each time, what must be among them once.
  await tried(async () => {
    const { status, headers, profile } = await profiled(port, '/debug/pprof/profile?seconds=2');
    t.equal(status, 200);
    t.equal(headers.get('content-type'), 'application/octet-stream');
    t.match(headers.get('content-disposition'), 'cpu.pb.gz');
    t.strictSame(profile.sampleTypes, ['samples/count', 'cpu/nanoseconds']);
    t.strictSame(profile.comments, [], 'no thread is missing');
    const { samples, durationNanos } = profile;
    t.strictSame(
      threadsOf(samples).filter((thread) => !wanted.includes(thread)),
      [],
    );
    const names = samples.flatMap(({ stack }) => stack.slice(0, 1));
    t.notOk(names.includes('sleepUntilRung') || names.includes('(idle)'), 'sleep is left out');
    const nanos = samples.reduce((sum, { values }) => sum + (values[1] ?? 0), 0);
    t.ok(nanos > 0 && nanos <= 4.5 * durationNanos, 'no more than four threads can have had');
    const isIn = (thread: string, name: string) =>
      samples.some(({ labels, stack }) => labels.thread === thread && stack.includes(name));
    const isOf = (pattern: RegExp) =>
      samples.some(({ files }) => files.some((file) => pattern.test(file)));
    return (
      threadsOf(samples).length === wanted.length &&
      isIn('log', 'runLogThread') &&
      isIn('applier', 'runApplier') &&
      isOf(/\/src\/log\/sequencer\.ts$/)
    );
  }, 'all threads, down to what the log thread and the appliers do');

  // Their code is optimized by now, where V8 can't tell sleep from work. A disk that is slow is work.
  await tried(async () => {
    const idle = await fetch(`http://127.0.0.1:${port}/debug/pprof/profile?seconds=1`);
    const rest = readPprof(new Uint8Array(await idle.arrayBuffer()));
    return ['log', 'applier'].every((thread) => {
      const own = rest.samples.filter(({ labels }) => labels.thread === thread);
      const used = own.reduce((sum, { values }) => sum + (values[1] ?? 0), 0);
      return used < rest.durationNanos / 2;
    });
  }, 'the log thread and the appliers sleep, and are not said to work');
});

t.test('a heap profile has what was allocated meanwhile', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  await tried(async () => {
    const { status, profile } = await profiled(port, '/debug/pprof/heap?seconds=2');
    t.equal(status, 200);
    t.strictSame(profile.sampleTypes, ['inuse_objects/count', 'inuse_space/bytes']);
    t.strictSame(profile.comments, []);
    for (const { values } of profile.samples) t.ok(values.every((value) => value > 0));
    return threadsOf(profile.samples).includes('main');
  }, 'what the main thread holds');
});

t.test('one at a time; who goes away ends his own; a stop ends it too', async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  for (const seconds of ['0', '301', '1.5', '-1', 'x', '', '1&seconds=2']) {
    const refused = await client.get(`/debug/pprof/profile?seconds=${seconds}`);
    t.equal(codeOf(refused), 'invalid-parameter', seconds);
  }
  const url = `http://127.0.0.1:${port}/debug/pprof/profile?seconds=300`;
  /** Of two that ask at once one is refused, and the other is under way. */
  const begun = async () => {
    const [one, two] = [new AbortController(), new AbortController()];
    const ask = (own: AbortController, other: AbortController) => {
      const answer = fetch(url, { signal: own.signal });
      answer.catch(() => undefined);
      return { answer, refused: answer.then((refusal) => ({ refusal, other })) };
    };
    const [first, second] = [ask(one, two), ask(two, one)];
    for (const { refused } of [first, second]) refused.catch(() => undefined);
    const { refusal, other } = await Promise.race([first.refused, second.refused]);
    t.equal(refusal.status, 409);
    t.match(await refusal.json(), { code: 'profile-in-progress' });
    return { answer: other === one ? first.answer : second.answer, leave: () => other.abort() };
  };
  const left = await begun();
  left.leave();
  await t.rejects(left.answer);
  const isFree = async () =>
    (await client.get('/debug/pprof/heap?seconds=1')).status === 200 || undefined;
  await polled(isFree, WAIT_MS_MAX, 'the next one to be taken');

  const last = await begun();
  t.equal(await service.stop(), true);
  const ended = await last.answer;
  t.equal(ended.status, 200, 'it is answered with what it has');
  readPprof(new Uint8Array(await ended.arrayBuffer()));
});
