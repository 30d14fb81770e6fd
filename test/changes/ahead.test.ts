/**
 * A position that this instance has not come to. Alone, it is of another history, and reset at once. In a cluster another
 * instance may have told it: the client waits until the log has come that far, and sees no reset, unless it never comes.
 */
import { once } from 'node:events';
import { createServer, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { ChangeFeed } from '../../src/changes/change-feed.ts';
import { LogProgress, OWN_DOUBLES, PROGRESS_BYTES } from '../../src/ring/progress.ts';
import { SeqWatch } from '../../src/ring/seq-watch.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { ChangeFollower } from '../helpers/clients/change-follower.ts';
import { fakeApp } from '../helpers/fakes/http-fakes.ts';

const WAIT_MS_MAX = 30_000;
/** Longer than the test takes. */
const FOR_EVER_MS = 600_000;
/** Of a client that stays. */
const STAYS = new AbortController().signal;

/** A feed whose log has `seq` events, none of which changed anything, behind a server on a port. */
async function feedAt(t: Test, seq: number, aheadMs: number) {
  const progress = new LogProgress(new SharedArrayBuffer(PROGRESS_BYTES));
  const words = new Int32Array(new SharedArrayBuffer(4));
  let applied = 0;
  const grow = (to: number) => {
    const own = new Float64Array(OWN_DOUBLES);
    progress.store({ nextSeq: to + 1, commitHead: 0, liveTail: 0, bulkTail: 0, own });
    applied = to;
    Atomics.add(words, 0, 1);
    Atomics.notify(words, 0);
  };
  grow(seq);
  const watermark = new SeqWatch(words, 0, () => applied);
  const history = {
    read: (): never => {
      throw new Error('nothing is to be read');
    },
  };
  const feed = new ChangeFeed({
    history: history as never,
    progress,
    watermark,
    limits: {
      changesHeartbeatMs: FOR_EVER_MS,
      changesFollowersMax: 10,
      changesBufferBytesMax: 65_536,
    },
    onError: (error) => t.fail(String(error)),
    aheadMs,
  });
  feed.open(progress.loadNextSeq() - 1);
  const server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    feed.enter();
    feed.follow(response, Number(request.headers['last-event-id']));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    feed.close();
    watermark.dispose();
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const follow = async (lastEventId: number) => {
    const follower = new ChangeFollower({ port, lastEventId });
    t.teardown(() => follower.disconnect());
    await follower.connect();
    return follower;
  };
  return { port, feed, watermark, grow, follow };
}

const told = (follower: ChangeFollower, isThere: () => boolean) =>
  bounded(follower.until(isThere), WAIT_MS_MAX, 'what it is told');

t.test('alone: reset at once', async (t) => {
  const { feed, follow } = await feedAt(t, 5, 0);
  const follower = await follow(8);
  await told(follower, () => follower.events.length > 0);
  t.strictSame(follower.events, [{ name: 'reset', seq: 5 }]);
  t.strictSame(await feed.page(8, 10, () => undefined, STAYS), { nextSince: 5, isReset: true });
});

t.test('in a cluster: waits until the log has come that far', async (t) => {
  const { port, feed, grow } = await feedAt(t, 5, FOR_EVER_MS);
  const request = get({ port, host: '127.0.0.1', headers: { 'last-event-id': '8' }, agent: false });
  t.teardown(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  let text = '';
  response.setEncoding('utf8').on('error', () => undefined);
  response.on('data', (chunk: string) => {
    text += chunk;
  });
  const said = (what: string) =>
    polled(() => (text.includes(what) ? true : undefined), WAIT_MS_MAX, what);
  await said(': waiting');
  const page = feed.page(8, 10, () => undefined, STAYS);
  grow(7);
  t.notMatch(text, /event:/);
  grow(8);
  t.strictSame(await bounded(page, WAIT_MS_MAX, 'the page'), { nextSince: 8, isReset: false });
  await said('event: position\ndata: {"seq":8}');
  t.notMatch(text, /event: reset/);
});

t.test('in a cluster: reset in the end, when it never comes', async (t) => {
  const { feed, follow } = await feedAt(t, 5, 20);
  const follower = await follow(8);
  await told(follower, () => follower.events.length > 0);
  t.strictSame(follower.events, [{ name: 'reset', seq: 5 }]);
  t.strictSame(await feed.page(8, 10, () => undefined, STAYS), { nextSince: 5, isReset: true });
});

t.test('in a cluster: who waits hears of the stop', async (t) => {
  const { feed, follow } = await feedAt(t, 5, FOR_EVER_MS);
  const follower = await follow(8);
  feed.close();
  await told(follower, () => follower.events.length > 0);
  t.match(follower.events, [{ name: 'stopping' }]);
});

t.test('in a cluster: a stop ends every wait', async (t) => {
  for (const end of ['closeHeld', 'close'] as const) {
    const { feed, watermark, follow } = await feedAt(t, 5, FOR_EVER_MS);
    const follower = await follow(8);
    const page = feed.page(9, 10, () => undefined, STAYS);
    t.equal(watermark.waiting, 2);
    feed[end]();
    t.equal(await bounded(page, WAIT_MS_MAX, 'its end'), undefined, end);
    await told(follower, () => follower.events.length > 0);
    t.match(follower.events, [{ name: 'stopping' }], end);
    t.equal(watermark.waiting, 0);
  }
});

t.test('in a cluster: nothing waits for a client that is gone', async (t) => {
  const { feed, watermark, follow } = await feedAt(t, 5, FOR_EVER_MS);
  const follower = await follow(8);
  const { app } = fakeApp({ changes: feed });
  t.teardown(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const path = '/api/v1/changes?since=8&limit=10';
  const request = get({ host: '127.0.0.1', port, path, agent: false }).on('error', () => undefined);
  const wait = (count: number) =>
    polled(() => (watermark.waiting === count ? true : undefined), WAIT_MS_MAX, `${count} to wait`);
  await wait(2);
  request.destroy();
  await wait(1);
  follower.disconnect();
  await wait(0);
});

t.test('in a cluster: a page that waits is refused in a stop', async (t) => {
  const { feed, watermark } = await feedAt(t, 5, FOR_EVER_MS);
  const { app, lifecycle } = fakeApp({ changes: feed });
  t.teardown(() => app.close());
  const answer = app.inject('/api/v1/changes?since=8&limit=10');
  await polled(() => (watermark.waiting === 1 ? true : undefined), WAIT_MS_MAX, 'it to wait');
  lifecycle.phase = 'stopping';
  feed.closeHeld();
  const { statusCode, body } = await bounded(Promise.resolve(answer), WAIT_MS_MAX, 'its answer');
  t.equal(statusCode, 503);
  t.match(JSON.parse(body), { code: 'stopping' });
});
