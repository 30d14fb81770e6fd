/**
 * Instances that the stream has gone on without take over the data of another one, and the stream from there. ROUNDS=100 kills
 * as many that join, at any moment, and lets whoever hands over its data end in each of the ways.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import t from 'tap';
import { Random, testSeed } from '../helpers/models/random.ts';
import {
  ClusterUnderTest,
  type InstanceUnderTest,
} from '../helpers/replication/cluster-under-test.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
const seed = testSeed();
const ROUNDS = Number(process.env.ROUNDS ?? 1);
/** An instance keeps its position each second. */
const RECORDED_MS = 2500;
/** From the start of a process that joins to the end of its joining, about. */
const KILL_MS_MAX = 2500;
/** What becomes of the one that hands over its data, while it does. */
const ENDS = ['killed', 'stopped', 'killed, and nobody else is there'] as const;

/** Of what a thread that stands still may spoil. */
const TRIES = 10;

t.setTimeout(600_000 + ROUNDS * 30_000);

t.test(`whoever is too far behind joins anew (seed ${seed})`, { skip }, async (t) => {
  const random = new Random(seed);
  const nats = await startNats(t);
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1);
  const a = await cluster.start('a');
  const c = await cluster.start('c');
  const key = { 'idempotency-key': 'first' };
  const first = await a.post({ product_id: 'first', price: 1, stock: 1 }, key);
  t.match(await c.get('first', Number(first.body.seq)), { status: 200 });
  await c.stop();
  let batches = 0;
  const event = () => ({
    ...{ product_id: `p${random.below(3000)}`, price: random.below(1e9), stock: random.below(1e6) },
  });
  const batch = async () => {
    const lines = Array.from({ length: 500 }, event);
    const { body } = await a.batch(lines, { 'idempotency-key': `batch-${++batches}` });
    return Number(body.last_seq);
  };
  /** The stream begins anew behind what is in it. */
  const goesOn = async () => {
    for (let i = 0; i < 5; i++) await batch();
    await cluster.purge((await cluster.status()).stream.last + 1);
    return batch();
  };
  const isLike = async (instance: InstanceUnderTest, seq: number, what: string) => {
    t.match(await instance.get('first', seq), { status: 200, body: { price: 1 } }, what);
    t.strictSame(await instance.pages(), await a.pages(), `${what}: the same products`);
    const again = await instance.post({ product_id: 'first', price: 1, stock: 1 }, key);
    t.equal(again.body.seq, first.body.seq, `${what}: it knows the keys`);
  };
  await goesOn();

  // Whoever is just joining from an instance needs the stream from there on, and that one says so.
  const connection = await connect({ servers: nats.url });
  t.teardown(() => connection.close());
  const subject = `ps.${cluster.name}.1`;
  const stateOfA = async () => (await cluster.status(1)).instances[0];
  const before = await stateOfA();
  t.match(await offerOf(connection, `${subject}.join.${before?.id}`), { files: [{ path: /./ }] });
  const then = await stateOfA();
  await goesOn();
  await new Promise((resolve) => setTimeout(resolve, RECORDED_MS));
  const now = await stateOfA();
  t.ok((now?.position ?? 0) > (then?.position ?? 0));
  t.equal(now?.kept, then?.kept);

  // One that is asked first and hands over nothing, and one that hands over something else.
  const joiners: string[] = [];
  let rival: Promise<string> | undefined;
  for (const [id, piece] of [
    ['silent', undefined],
    ['false', Buffer.from('none')],
  ] as const) {
    const state = { id, host: id, pid: 1, position: Number.MAX_SAFE_INTEGER };
    connection.subscribe(`${subject}.who`, {
      callback: (_, message) => void message.respond(JSON.stringify(state)),
    });
    const files = [{ path: 'log/00000000000000000001.log', bytes: 100 }];
    connection.subscribe(`${subject}.join.${id}`, {
      callback: (_, message) => {
        joiners.push(id);
        // Whoever joins holds its folder: what it has taken over is thrown away by nobody else.
        rival ??= cluster.tries('b', {});
        message.respond(JSON.stringify({ session: 's', files }));
      },
    });
    connection.subscribe(`${subject}.join.${id}.s`, {
      callback: (_, message) => void (piece && message.respond(piece)),
    });
  }
  // While events come: what is handed over is of one moment.
  let isWriting = true;
  const written = (async () => {
    let seq = 0;
    while (isWriting) seq = await cluster.posted(a, event());
    return seq;
  })();
  let b = await cluster.start('b');
  // Who answers for them was late: nobody asks for all of those that are there.
  for (let tries = 1; new Set(joiners).size < 2 && tries < TRIES; tries++) {
    await b.kill();
    await rival;
    rival = undefined;
    joiners.length = 0;
    rmSync(cluster.dataOf('b'), { recursive: true });
    b = await cluster.start('b');
  }
  t.strictSame([...new Set(joiners)].sort(), ['false', 'silent']);
  t.match(await rival, new RegExp(`DATA_DIR .* is held by process ${b.process.pid}`));
  await connection.close();
  isWriting = false;
  await isLike(b, await written, 'a new one');
  t.notOk(readdirSync(cluster.dataOf('b')).some((name) => name.startsWith('aside-')));
  t.notOk(existsSync(`${cluster.dataOf('b')}/joining`));

  for (let round = 1; round <= ROUNDS; round++) {
    const name = round % 2 === 1 ? 'c' : 'new';
    const seq = await goesOn();
    const killMs = random.below(KILL_MS_MAX);
    await cluster.startsAndIsKilled(name, killMs);
    const back = await cluster.start(name);
    await isLike(back, seq, `round ${round}: ${name}, killed after ${killMs} ms`);
    await back.stop();
  }
  const asides = readdirSync(cluster.dataOf('c')).filter((name) => name.startsWith('aside-'));
  t.ok(existsSync(`${cluster.dataOf('c')}/${asides[0]}/cluster.json`), 'what it had is kept');

  // It stands still, and comes back as it was, with another connection.
  b.process.kill('SIGSTOP');
  await nats.servers[0]?.kill();
  await nats.servers[0]?.start();
  await cluster.polled(async () => ((await a.ready()).status === 200 ? true : undefined));
  await goesOn();
  b.process.kill('SIGCONT');
  await cluster.polled(async () => {
    const seen = b.process.log.some(({ msg }) => msg.startsWith('joining: took over'));
    return seen && b.process.log.filter(({ msg }) => msg.startsWith('ready on')).length === 2
      ? true
      : undefined;
  });

  await b.kill();
  const up = new Map([['a', a]]);
  up.set('b', await cluster.start('b'));
  const ends =
    ROUNDS > 1 ? Array.from({ length: ROUNDS }, (_, i) => ENDS[i % 3]) : [random.pick(ENDS)];
  for (const [i, end] of ends.entries()) {
    // Where its end comes late it has handed over everything.
    let isMidway = false;
    for (let tries = 0; !isMidway && tries < TRIES; tries++) {
      isMidway = await givenBy(end as (typeof ENDS)[number], `giver${i}-${tries}`);
    }
    t.ok(isMidway, `${end} mid-way`);
  }

  /** One joins, and the one that it takes over from ends at its first wish; whether that was before the last. */
  async function givenBy(end: (typeof ENDS)[number], name: string): Promise<boolean> {
    const others = end === 'killed, and nobody else is there' ? ['a'] : [];
    for (const other of others) {
      await up.get(other)?.kill();
      up.delete(other);
    }
    const { instances } = await cluster.status(up.size);
    const asked = Promise.withResolvers<string>();
    const watcher = await connect({ servers: nats.url });
    watcher.subscribe(`${subject}.join.*.*`, {
      callback: (_, { subject: of }) => {
        const id = of.split('.').at(-2);
        const pid = instances.find((instance) => instance.id === id)?.pid;
        const [giver] = [...up].find(([, one]) => one.process.pid === pid) ?? [];
        if (giver === undefined || pid === undefined) return;
        process.kill(pid, end === 'stopped' ? 'SIGSTOP' : 'SIGKILL');
        void watcher.close();
        asked.resolve(giver);
      },
    });
    await watcher.flush();
    const joining = cluster.start(name);
    joining.catch(() => undefined);
    const giver = await asked.promise;
    const ended = up.get(giver);
    up.delete(giver);
    if (end.startsWith('killed')) {
      await ended?.process.exited;
      if (up.size === 0) up.set(giver, await cluster.start(giver));
    }
    const joiner = await joining;
    const said = joiner.process.log.filter(({ msg }) => msg.startsWith('joining:'));
    t.match(said.at(-1)?.msg, /took over/, `${end}: ${said.map(({ msg }) => msg).join('\n')}`);
    if (end === 'stopped') ended?.process.kill('SIGCONT');
    if (ended !== undefined && end === 'stopped') up.set(giver, ended);
    else if (!up.has(giver)) up.set(giver, await cluster.start(giver));
    for (const other of others) up.set(other, await cluster.start(other));
    const seq = await cluster.posted(joiner, event());
    const [one] = up.values();
    await joiner.get('first', seq);
    await one?.get('first', seq);
    t.strictSame(await joiner.pages(), await one?.pages(), `${end}: the same products`);
    await joiner.kill();
    return said.some(({ msg }) => msg.includes('not from'));
  }
});

/** What an instance offers to whoever joins; before that it says that it is about to. */
async function offerOf(connection: NatsConnection, subject: string): Promise<unknown> {
  const answers = await connection.requestMany(subject, '{}', { maxWait: 60_000 });
  for await (const answer of answers) {
    const said = answer.json<object>();
    if (!('isStarting' in said)) return said;
  }
  return undefined;
}
