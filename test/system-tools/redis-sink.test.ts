/** The contract of sinks, on Debian's Redis, alone and as a cluster, and what only a server can do to a sink. */
import t, { type Test } from 'tap';
import { RedisSink } from '../../src/sinks/redis/redis-sink.ts';
import { slotOf } from '../../src/sinks/redis/redis-slot.ts';
import { SinkTakenError } from '../../src/sinks/sink.ts';
import { polled } from '../helpers/bounded.ts';
import { ODD_IDS } from '../helpers/models/odd-ids.ts';
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
} from '../helpers/servers/redis-server.ts';
import { redisPosition, redisRows } from '../helpers/sinks/redis-rows.ts';
import {
  describeSink,
  OPTIONS,
  row,
  type SinkWorld,
  write,
} from '../sinks/contract/sink-contract.ts';

const WAIT_MS_MAX = 60_000;
/** What is given up after that must not be on a machine that stands still for a moment. */
const TIMEOUT_MS = 5000;

let server: RedisServer;
let cluster: readonly RedisServer[];
let worlds = 0;

t.before(async () => {
  server = await startRedis(t);
  cluster = await startRedisCluster(t, 3);
});

function redisWorld(servers: () => readonly RedisServer[], isCluster = false) {
  return async (_t: Test): Promise<SinkWorld & { readonly prefix: string }> => {
    const prefix = `world-${++worlds}:`;
    const [{ url }] = servers();
    return {
      prefix,
      isCluster,
      make: (options) => new RedisSink({ url, prefix }, options),
      rows: () => redisRows(servers(), prefix),
      position: () => redisPosition(servers(), prefix),
      refuseHighPrice: async () => {
        // Somebody else has put something under the product's name.
        for (const each of servers()) {
          await each.command('SET', `${prefix}b`, 'mine').catch(() => undefined);
        }
      },
      cutOff: async () => {
        for (const each of servers()) await each.command('CLIENT', 'KILL', 'TYPE', 'normal');
      },
    };
  };
}

describeSink(
  'Redis',
  redisWorld(() => [server]),
);
describeSink(
  'Redis, a cluster',
  redisWorld(() => cluster, true),
);

const errorOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error) => error,
  );

t.test('Redis: the slots of keys are those of the server', async (t) => {
  const keys = [...ODD_IDS, 'product:a', '{user1000}.x', '{}x', 'a{b}c{d}', '{', '}{', 'a{é}'];
  for (const key of keys) {
    t.equal(slotOf(key), await cluster[0].command('CLUSTER', 'KEYSLOT', key), key);
  }
});

t.test('Redis: a field that is no more is taken away; those of others stay', async (t) => {
  const world = await redisWorld(() => [server])(t);
  const sink = world.make(OPTIONS);
  t.teardown(() => sink.close());
  await sink.open();
  await write(sink, [row('a', 1, { price: 49.99 })], 1);
  await server.command('HSET', `${world.prefix}a`, 'title', 'Chair');
  await write(sink, [row('a', 2, { price: null, stock: null })], 2);
  const hash = await server.command('HGETALL', `${world.prefix}a`);
  t.match(hash, { title: 'Chair', listed: '0', seq: '2' });
  t.notOk('price' in (hash as object));
});

t.test('Redis: whoever was taken over although it lives writes nothing more', async (t) => {
  const world = await redisWorld(() => [server])(t);
  const sink = world.make(OPTIONS);
  t.teardown(() => sink.close());
  await sink.open();
  await server.command('HINCRBY', `product-service:sink:${world.prefix}`, 'epoch', '1');
  await t.rejects(write(sink, [row('a', 1)], 1), SinkTakenError);
  await t.rejects(sink.beat(), SinkTakenError);
  t.strictSame(await world.rows(), []);
});

t.test(
  'Redis: the lease of a process of this host that is gone is taken over at once',
  async (t) => {
    const world = await redisWorld(() => [server])(t);
    const sink = world.make(OPTIONS);
    await sink.open();
    const key = `product-service:sink:${world.prefix}`;
    const instance = String(await server.command('HGET', key, 'instance'));
    const [host] = instance.split(' ');
    // No process has this id.
    await server.command('HSET', key, 'instance', `${host} 4194305 1 x`);
    const second = world.make(OPTIONS);
    t.teardown(() => second.close());
    t.equal((await second.open()).position, 0);
    await t.rejects(write(sink, [row('a', 1)], 1), SinkTakenError);
    await sink.close();
    t.equal(
      await write(second, [row('a', 2)], 2),
      1,
      'which did not give away the lease of its successor',
    );
    await server.command('HSET', key, 'instance', 'another-host 1 1 x');
    await t.rejects(world.make(OPTIONS).open(), SinkTakenError, 'on another host nobody can tell');
  },
);

t.test('Redis: functions that were flushed are loaded again', async (t) => {
  const world = await redisWorld(() => [server])(t);
  const sink = world.make(OPTIONS);
  t.teardown(() => sink.close());
  await sink.open();
  await server.command('FUNCTION', 'FLUSH');
  const error = await errorOf(write(sink, [row('a', 1)], 1));
  t.equal(sink.classify(error), 'retryable');
  await sink.close();
  await sink.open();
  t.equal(await write(sink, [row('a', 1)], 1), 1);
});

t.test('Redis: a server that was emptied is filled from the beginning', async (t) => {
  const world = await redisWorld(() => [server])(t);
  const sink = world.make(OPTIONS);
  t.teardown(() => sink.close());
  await sink.open();
  await write(sink, [row('a', 5)], 5);
  await server.command('FLUSHALL');
  await t.rejects(write(sink, [row('b', 6)], 6), SinkTakenError, 'the position is gone');
  await sink.close();
  t.equal((await sink.open()).position, 0);
});

t.test('Redis: a server that stands still, has no memory, is not there', async (t) => {
  const world = await redisWorld(() => [server])(t);
  const sink = world.make({ ...OPTIONS, timeoutMs: TIMEOUT_MS });
  t.teardown(() => sink.close());
  await sink.open();
  server.process.pause();
  t.equal(sink.classify(await errorOf(write(sink, [row('a', 1)], 1))), 'retryable');
  await sink.close();
  t.equal(sink.classify(await errorOf(sink.open())), 'retryable');
  server.process.goOn();
  const isOpen = async () => {
    try {
      await sink.open();
      return true;
    } catch {
      await sink.close();
      return undefined;
    }
  };
  await polled(isOpen, WAIT_MS_MAX, 'the server to be back');
  await server.command('CONFIG', 'SET', 'maxmemory', '1', 'maxmemory-policy', 'noeviction');
  t.equal(sink.classify(await errorOf(write(sink, [row('a', 1)], 1))), 'system');
  await server.command('CONFIG', 'SET', 'maxmemory', '0');
  const away = new RedisSink({ url: 'redis://127.0.0.1:1', prefix: 'x' }, OPTIONS);
  t.equal(away.classify(await errorOf(away.open())), 'retryable');
  await server.command('CONFIG', 'SET', 'requirepass', 'secret');
  const locked = world.make(OPTIONS);
  t.equal(locked.classify(await errorOf(locked.open())), 'not-retryable');
});
