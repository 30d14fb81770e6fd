/** Many who catch up cost the others no more than a few: one slice in a turn, and what one has read others get. */
import { request } from 'node:http';
import t, { type Test } from 'tap';
import { CatchUpTurns } from '../../src/changes/catch-up-turns.ts';
import { ChangeReader } from '../../src/changes/change-reader.ts';
import { Follower } from '../../src/changes/follower.ts';
import { polled } from '../helpers/bounded.ts';
import { lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const FOLLOWERS = 60;
const EVENTS = 20_000;
const WAIT_MS_MAX = 60_000;
const TRIES = 20;

/** Counts calls of a method in each turn of the event loop, for as long as the test goes on. */
function callsATurn<K extends string>(t: Test, prototype: Record<K, unknown>, name: K) {
  const counted = { now: 0, most: 0, all: 0 };
  t.intercept(prototype, name as never, {
    value: new Proxy(prototype[name] as (...args: unknown[]) => unknown, {
      apply(method, self, args) {
        counted.now++;
        counted.all++;
        counted.most = Math.max(counted.most, counted.now);
        return Reflect.apply(method, self, args);
      },
    }),
  });
  let isOver = false;
  const turn = () => {
    counted.now = 0;
    if (!isOver) setImmediate(turn);
  };
  turn();
  t.teardown(() => {
    isOver = true;
  });
  return counted;
}

/** Follows from 0; resolves to how many changes came, once the last event has. */
function follow(t: Test, port: number, last: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request({ port, path: '/api/v1/changes?since=0', agent: false });
    t.teardown(() => call.destroy());
    call.on('error', reject);
    call.on('response', (response) => {
      let changes = 0;
      let tail = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        const seen = tail + text;
        const end = seen.lastIndexOf('\n\n') + 2;
        tail = seen.slice(end < 2 ? 0 : end);
        if (end < 2) return;
        const whole = seen.slice(0, end);
        changes += whole.match(/^data: \{"seq":\d+,"product_id"/gm)?.length ?? 0;
        if (whole.includes(`\nid: ${last}\n`)) resolve(changes);
      });
      response.on('error', reject);
    });
    call.end();
  });
}

t.test(`${FOLLOWERS} followers from 0 share one slice in a turn`, async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), CHANGES_HEARTBEAT: '1m' });
  const { body } = await sendBatch(port, lines(EVENTS), { query: '?ack=applied' });
  t.equal(body.last_seq, EVENTS);
  const reads = callsATurn(t, ChangeReader.prototype as never, 'read');
  const writes = callsATurn(t, Follower.prototype as never, 'write');
  const following = Array.from({ length: FOLLOWERS }, () => follow(t, port, EVENTS));
  const counts = await Promise.all(following);
  t.strictSame(counts, Array(FOLLOWERS).fill(EVENTS), 'each has all of it');
  // A slice of one who catches up and one of the hub; and who connects is told its position.
  t.ok(reads.most <= 2, `${reads.most} reads in a turn`);
  t.ok(writes.most <= 3 + FOLLOWERS, `${writes.most}`);
  // Each by itself would read some 40 slices.
  t.ok(reads.all < FOLLOWERS * 20, `${reads.all} reads of ${FOLLOWERS} followers`);
});

t.test('turns are given one by one, in the order in which they were asked for', async (t) => {
  const turns = new CatchUpTurns();
  const order: string[] = [];
  const work = async (name: string, slices: number) => {
    for (let i = 0; i < slices; i++) {
      await turns.next();
      order.push(`${name}${i}`);
    }
  };
  await Promise.all([work('a', 3), work('b', 1), work('c', 2)]);
  t.strictSame(order, ['a0', 'b0', 'c0', 'a1', 'c1', 'a2']);
  await polled(async () => true, WAIT_MS_MAX, 'nothing more');
});

/** Turns of the event loop until it is served again that asks again as it is served, after some work. */
async function turnsUntilAgain(turns: CatchUpTurns): Promise<number> {
  await turns.next();
  const endMs = performance.now() + 5;
  while (performance.now() < endMs); // a slice, after which a rest would be a timer's
  let count = 0;
  let isServed = false;
  const again = turns.next().then(() => {
    isServed = true;
  });
  while (!isServed && count < 1000) {
    count++;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await again;
  return count;
}

t.test('one alone is served in each turn, with no rest between', async (t) => {
  t.ok((await turnsUntilAgain(new CatchUpTurns())) <= 3);
});

t.test('where others wait, there is a rest', async (t) => {
  let count = 0;
  // A rest is of milliseconds: a turn in which the thread stands still is as long.
  for (let tries = 0; count <= 3 && tries < TRIES; tries++) {
    const turns = new CatchUpTurns();
    const asked = turnsUntilAgain(turns);
    const other = turns.next();
    count = await asked;
    await other;
  }
  t.ok(count > 3, `${count} turns`);
});
