/**
 * What a clock does that is set (NTP, a resumed machine, a wrong one after a restart), to the real
 * process: libfaketime moves its wall clock while it runs, timers go on.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { troubleShown } from '../helpers/api/troubleshooting.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { FakedClock } from './faked-clock.ts';

const HOUR_S = 3600;
const DAY_S = 24 * HOUR_S;
const SMALL = {
  MAX_MEMORY_USAGE: '16MB',
  SHARDS: '4',
  SEGMENT_SIZE: '1MB',
  DEDUPE_WINDOW: '1000',
  OUTCOME_WINDOW: '1000',
};

interface Answer {
  readonly httpStatus: number;
  readonly outcome?: string;
  readonly errors?: readonly { readonly detail: string }[];
}

interface State {
  readonly price: number;
  readonly price_at: string;
  readonly updated_at: string;
}

/** A service on a folder of its own, whose clock the test sets. */
class Clocked {
  readonly clock: FakedClock;
  readonly dataDir: string;
  readonly #t: Test;
  readonly #root: string;
  service!: ServiceProcess;
  #url = '';

  constructor(t: Test) {
    this.#t = t;
    this.#root = tempDir(t);
    this.clock = new FakedClock(this.#root);
    this.dataDir = join(this.#root, 'data');
  }

  async start(env: Record<string, string> = {}): Promise<void> {
    this.service = await ServiceProcess.start(this.#t, {
      cwd: this.#root,
      env: { ...SMALL, ...env, ...this.clock.env, DATA_DIR: this.dataDir },
    });
    this.#url = `http://127.0.0.1:${await this.service.ready()}/api/v1`;
  }

  /** What the answer to `event` says, and its status. */
  async post(event: object): Promise<Answer> {
    const answer = await this.#post(event);
    return { ...((await answer.json()) as object), httpStatus: answer.status };
  }

  #post(event: object): Promise<Response> {
    return fetch(`${this.#url}/events?ack=applied`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
    });
  }

  /** Sends an event without a time; the state of the product then. */
  async plain(price: number, product_id = 'p'): Promise<State> {
    const answer = await this.post({ product_id, price, stock: 1 });
    this.#t.equal(answer.httpStatus, 200);
    this.#t.equal(answer.outcome, undefined, 'it is not stale');
    return this.state(product_id);
  }

  async state(product_id = 'p'): Promise<State> {
    const answer = await fetch(`${this.#url}/products/${product_id}?view=full`);
    return (await answer.json()) as State;
  }

  batch(lines: readonly string[], query = ''): Promise<Response> {
    return fetch(`${this.#url}/events/batch${query}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    });
  }

  async changes(): Promise<{ seq: number; occurred_at: string }[]> {
    const answer = await fetch(`${this.#url}/changes?since=0&limit=1000`);
    return ((await answer.json()) as { changes: { seq: number; occurred_at: string }[] }).changes;
  }
}

t.test('a clock that is set back takes no update without a time of its own', async (t) => {
  const world = new Clocked(t);
  await world.start();
  const states = [await world.plain(1), await world.plain(2)];
  world.clock.set(-HOUR_S);
  states.push(await world.plain(3));
  const line = await world.service.logged('clock: it was set back by 3600 s');
  t.equal(line.level, 40);
  t.match(line.msg, troubleShown('The clock is wrong'));
  states.push(await world.plain(4));
  t.equal((await world.service.stop()).code, 0);
  await world.start();
  await world.service.logged("s behind the log's last event");
  states.push(await world.plain(5));
  await world.service.crash();
  await world.start();
  states.push(await world.plain(6));
  world.clock.set(0);
  await world.service.logged('clock: it jumped forward by 3600 s');
  states.push(await world.plain(7));
  t.same(
    states.map(({ price }) => price),
    [1, 2, 3, 4, 5, 6, 7],
  );
  for (const member of ['price_at', 'updated_at'] as const) {
    const times = states.map((state) => state[member]);
    t.same([...times].sort(), times, `${member} never goes back`);
  }
  const changes = await world.changes();
  const times = changes.map(({ occurred_at }) => occurred_at);
  t.equal(times.length, 7);
  t.same([...times].sort(), times, 'nor does the arrival in the feed');
});

t.test('an event a little ahead does not hold up those without a time', async (t) => {
  const world = new Clocked(t);
  await world.start();
  const ahead = new Date(Date.now() + 4 * 60_000).toISOString();
  t.equal(
    (await world.post({ product_id: 'p', price: 1, stock: 1, occurred_at: ahead })).httpStatus,
    200,
  );
  t.match(await world.plain(2), { price: 2, price_at: ahead });
  const now = new Date().toISOString();
  const stale = await world.post({ product_id: 'p', price: 3, stock: 1, occurred_at: now });
  t.equal(stale.outcome, 'stale');
  t.match(await world.state(), { price: 2, price_at: ahead });
});

t.test('years ahead for a moment, and then right: times are right again', async (t) => {
  const world = new Clocked(t);
  world.clock.set(1500 * DAY_S);
  await world.start();
  const wrong = await world.plain(1);
  await world.plain(1, 'q');
  t.equal((await world.service.stop()).code, 0);
  world.clock.set(0);
  await world.start();
  const line = await world.service.logged('must have been wrong before');
  t.ok((line.behindMs as number) > 1499 * DAY_S * 1000);
  t.match(await world.plain(2), { price: 2, price_at: wrong.price_at }, 'no update is lost');
  const fresh = await world.plain(3, 'r');
  t.ok(Math.abs(Date.parse(fresh.price_at) - Date.now()) < HOUR_S * 1000);
  // One with its own, right time is not held up where the wrong clock has not been.
  const now = new Date(Date.now() + 60_000).toISOString();
  await world.post({ product_id: 'r', price: 4, stock: 1, occurred_at: now });
  t.match(await world.state('r'), { price: 4, price_at: now });
});

t.test('LOG_RETENTION by age goes on after a clock that was ahead for a moment', async (t) => {
  const world = new Clocked(t);
  const lines = Array.from(
    { length: 20_000 },
    (_, i) => `{"product_id":"p${i % 500}","price":${i},"stock":1}`,
  );
  const run = async () => {
    await world.start({ LOG_RETENTION: '1h' });
    t.equal((await world.batch(lines)).status, 202);
    t.equal((await world.service.stop()).code, 0);
  };
  const segments = () => readdirSync(join(world.dataDir, 'log')).filter((n) => n.endsWith('.seg'));
  world.clock.set(1500 * DAY_S);
  await run();
  const wrong = segments();
  t.ok(wrong.length > 1);
  world.clock.set(0);
  await run();
  const line = await world.service.logged('segments of the log come from its future');
  t.ok((line.futureSegments as number) >= wrong.length - 1);
  t.ok(segments().includes(wrong[0]), 'they count as no older than an hour');
  world.clock.set(2 * HOUR_S);
  await run();
  t.notOk(segments().includes(wrong[0]), 'and two hours later they are gone');
});

t.test(
  'a clock a day behind: senders are told its time, and the operator that it happens',
  async (t) => {
    const world = new Clocked(t);
    world.clock.set(-DAY_S);
    await world.start();
    const occurred_at = new Date().toISOString();
    const event = { product_id: 'p', price: 1, stock: 1, occurred_at };
    const dayBefore = () => new Date(Date.now() - DAY_S * 1000).toISOString().slice(0, 10);
    const first = dayBefore();
    const answer = await world.post(event);
    // It may be midnight meanwhile.
    const yesterday = new RegExp(`(${first}|${dayBefore()})T`);
    t.equal(answer.httpStatus, 400);
    const detail = answer.errors?.[0]?.detail;
    t.match(detail, new RegExp(`in the future; this service's clock says ${yesterday.source}`));
    for (let n = 0; n < 4; n++) t.equal((await world.post(event)).httpStatus, 400);
    const [line] = [JSON.stringify(event)];
    const mixed = [line, '{"product_id":"q","price":1,"stock":1}', line, line, line, line];
    t.equal((await world.batch(mixed, '?on_error=continue')).status, 207);
    const told = await world.service.logged('clock: 10 events within a minute were refused');
    t.equal(told.level, 40);
    t.match(told.now, new RegExp(`${yesterday.source}|${dayBefore()}T`));
  },
);
