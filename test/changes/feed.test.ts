/**
 * The change feed on the whole service: who follows it, however he comes and goes, has exactly what
 * the service has.
 */
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { ChangeFollower, type FollowOptions } from '../helpers/clients/change-follower.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { WriteLoad } from '../helpers/clients/write-load.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 100_000;
const EVENTS = 50_000;

async function follow(t: Test, options: FollowOptions): Promise<ChangeFollower> {
  const follower = new ChangeFollower(options);
  t.teardown(() => follower.disconnect());
  await follower.connect();
  return follower;
}

const until = (follower: ChangeFollower, seq: number) =>
  bounded(
    follower.until(() => (follower.lastEventId ?? 0) >= seq),
    WAIT_MS_MAX,
    `seq ${seq}`,
  );

/** On all threads. */
const followers = async (port: number) =>
  (await scrape(port)).value('product_service_changes_followers');

t.test('a follower that reconnects at random misses nothing and sees no seq twice', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    SEGMENT_SIZE: '1MB',
    CHANGES_HEARTBEAT: '20ms',
  });
  const load = new WriteLoad(service, 4711, 40);
  const random = new Random(4712);
  const follower = await follow(t, { port, lastEventId: 0 });
  const steady = await follow(t, { port, lastEventId: 0 });
  const sending = load.send(EVENTS);
  let isSent = false;
  void sending.then(() => {
    isSent = true;
  });
  let reconnects = 0;
  while (!isSent || reconnects < 30) {
    const goal = follower.seqs.size + random.below(500);
    await bounded(
      follower.until(() => follower.seqs.size >= goal || isSent),
      WAIT_MS_MAX,
      'the next reconnect',
    ).catch((error) => {
      if (!isSent) throw error;
    });
    follower.disconnect();
    await follower.connect();
    reconnects++;
    if (isSent && reconnects >= 30) break;
  }
  await sending;
  const { seq } = load;
  await until(follower, seq);
  await until(steady, seq);
  for (const each of [follower, steady]) {
    t.equal(load.difference(each.last), '');
    t.equal(load.missing(each.seqs), '');
    t.equal(each.seqs.size, load.effective, 'no event that changed nothing is told');
    t.strictSame(each.events, [], 'neither reset nor dropped');
  }
  t.ok(load.stale > 1000, `${load.stale} events were stale`);
});

t.test('since a seq that only the files have, also after a restart', async (t) => {
  const env = {
    DATA_DIR: tempDir(t),
    SEGMENT_SIZE: '1MB',
    QUEUE_SIZE: '500',
    BULK_QUEUE_SIZE: '500',
  };
  const first = await startReadyService(t, env);
  const load = new WriteLoad(first.service, 11, 1000);
  // Past the commit ring's 16,384 slots.
  await load.send(40_000);
  const early = await follow(t, { port: first.port, query: '?since=0' });
  await until(early, load.seq);
  t.equal(load.difference(early.last), '');
  t.equal(load.missing(early.seqs), '');
  await first.service.stop();

  const { service, port } = await startReadyService(t, env);
  const again = await follow(t, { port, query: '?since=17' });
  await until(again, load.seq);
  const more = load.on(service);
  await more.send(500);
  await until(again, more.seq);
  t.equal(more.difference(again.last), '');
  t.equal(load.missing(again.seqs, 18), '');
  t.strictSame(again.events, []);
});

t.test('a history that is gone, or was never here, is reset', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    SEGMENT_SIZE: '1MB',
    QUEUE_SIZE: '500',
    BULK_QUEUE_SIZE: '500',
    LOG_RETENTION: '0B',
  });
  const load = new WriteLoad(service, 12, 50);
  await load.send(20_000);
  await service.checkpoints.runRound(false);
  await load.send(20_000);
  await service.checkpoints.runRound(false);
  const late = await follow(t, { port, query: '?since=5' });
  await bounded(
    late.until(() => late.events.length > 0),
    WAIT_MS_MAX,
    'the reset',
  );
  t.strictSame(late.events, [{ name: 'reset', seq: load.seq }]);
  const foreign = await follow(t, { port, lastEventId: 10_000_000 });
  await bounded(
    foreign.until(() => foreign.events.length > 0),
    WAIT_MS_MAX,
    'the reset',
  );
  t.strictSame(foreign.events, [{ name: 'reset', seq: load.seq }]);
  const url = `http://127.0.0.1:${port}/api/v1/changes`;
  for (const since of [5, 10_000_000]) {
    const page = await (await fetch(`${url}?since=${since}&limit=10`)).json();
    t.strictSame(page, { changes: [], next_since: load.seq, reset: true });
  }
  // Both go on from there.
  await load.send(100);
  await until(late, load.seq);
  t.ok(late.seqs.size > 0);
});

t.test('pages of JSON lead to the same state', async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const load = new WriteLoad(service, 13, 30);
  await load.send(3000);
  const url = `http://127.0.0.1:${port}/api/v1/changes`;
  const last = new Map();
  const seqs = new Set<number>();
  let since = 0;
  for (;;) {
    const response = await fetch(`${url}?since=${since}&limit=700`);
    t.equal(response.headers.get('content-type'), 'application/json; charset=utf-8');
    const page = (await response.json()) as {
      changes: { seq: number; product_id: string }[];
      next_since: number;
    };
    if (page.changes.length === 0) break;
    t.ok(page.changes.length <= 700);
    for (const change of page.changes) {
      t.notOk(seqs.has(change.seq));
      seqs.add(change.seq);
      last.set(change.product_id, change);
    }
    since = page.next_since;
  }
  t.equal(since, load.seq);
  t.equal(load.difference(last), '');
  t.equal(load.missing(seqs), '');
  const now = await (await fetch(url, { headers: { accept: 'application/json' } })).json();
  t.strictSame(now, { changes: [], next_since: load.seq, reset: false });
});

t.test('a client that does not read is dropped, and nobody else notices', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    CHANGES_BUFFER: '64KiB',
  });
  const slow = new ChangeFollower({ port });
  t.teardown(() => slow.disconnect());
  const response = await slow.connect();
  response.pause();
  const load = new WriteLoad(service, 14, 20);
  const other = await follow(t, { port });
  t.equal(await followers(port), 2);
  while ((await followers(port)) === 2) await load.send(5000);
  await until(other, load.seq);
  t.equal(load.difference(other.last), '');
  response.resume();
  await bounded(
    slow.until(() => slow.events.length > 0),
    WAIT_MS_MAX,
    'the final event',
  );
  t.match(slow.events, [{ name: 'dropped' }]);
  t.equal(slow.events[0].seq, slow.lastEventId);
  await slow.connect();
  await until(slow, load.seq);
  t.equal(load.difference(slow.last), '', 'it resumes without a gap');
});

t.test('heartbeats while nothing changes, and a final event when the service stops', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    // Silence for longer than any connection is otherwise allowed.
    CHANGES_HEARTBEAT: '3s',
    REQUEST_TIMEOUT: '1s',
    HEADERS_TIMEOUT: '1s',
    KEEP_ALIVE_TIMEOUT: '100ms',
  });
  // In so short a time a thread that stands still asks nothing.
  const follower = await polled(
    () => follow(t, { port }).catch(() => undefined),
    WAIT_MS_MAX,
    'a follower in time',
  );
  const load = new WriteLoad(service, 15, 5);
  await load.send(10);
  await bounded(
    follower.until(() => follower.heartbeats >= 2),
    WAIT_MS_MAX,
    'heartbeats',
  );
  const sending = load.send(200);
  await until(follower, 20);
  await sending;
  const { seq } = load;
  await service.stop();
  await bounded(
    follower.until(() => follower.events.length > 0),
    WAIT_MS_MAX,
    'the final event',
  );
  t.strictSame(follower.events, [{ name: 'stopping', seq }]);
  t.equal(load.difference(follower.last), '', 'after all that was applied');
});

t.test('only so many follow', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    CHANGES_FOLLOWERS_MAX: '1',
  });
  const url = `http://127.0.0.1:${port}/api/v1/changes`;
  const head = await fetch(url, { method: 'HEAD' });
  t.equal(head.headers.get('content-type'), 'text/event-stream');
  const follower = await follow(t, { port });
  const refused = await fetch(url);
  t.equal(refused.status, 503);
  t.match(await refused.json(), { code: 'too-many-followers' });
  t.equal(refused.headers.get('retry-after'), '5');
  follower.disconnect();
  while (!service.changes.enter()) await new Promise(setImmediate);
  service.changes.leave();
  await follow(t, { port });
});

t.test('what is asked for must be there', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const url = `http://127.0.0.1:${port}/api/v1/changes`;
  const ask = async (query: string, headers: Record<string, string> = {}) => {
    const response = await fetch(url + query, { headers });
    const { code, detail } = (await response.json()) as { code: string; detail: string };
    return `${response.status} ${code}: ${detail}`;
  };
  t.equal(
    await ask('', { accept: 'text/html' }),
    '406 not-acceptable: This path answers with text/event-stream or application/json.',
  );
  t.match(await ask('?since=-1'), /^400 invalid-parameter: since must be an integer/);
  t.match(await ask('?since=1&since=2'), /^400 invalid-parameter: since must be/);
  t.match(
    await ask('?limit=0'),
    /^400 invalid-parameter: limit must be an integer from 1 to 10000/,
  );
  t.match(await ask('?sinse=1'), /^400 invalid-parameter: The parameter "sinse" is unknown/);
  for (const query of ['', '?limit=5']) {
    t.match(
      await ask(query, { 'last-event-id': 'x' }),
      /^400 invalid-header: Last-Event-ID must be an integer/,
    );
  }
  t.match(
    await ask('?limit=5', { accept: 'text/event-stream' }),
    /^400 invalid-parameter: limit goes with application\/json/,
  );
});
