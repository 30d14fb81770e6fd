/**
 * `cluster init`, with and without `--from`, killed around each of its requests, on a real NATS server: the same command
 * goes on; of two generations one is in use; whoever has data of the old one is refused.
 * (Over 300 lines: all cases need one server, and begin with the same folders.)
 */
import { cpSync, existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import t, { type Test } from 'tap';
import { beginGeneration } from '../../src/joining/begin-generation.ts';
import { enterCluster } from '../../src/joining/enter-cluster.ts';
import { NodeFileSystem } from '../../src/log/file-system.ts';
import { beginCluster, createStream, publishGenesis } from '../../src/replication/begin-cluster.ts';
import { type Genesis, namesOf, unpackGenesis } from '../../src/replication/cluster-settings.ts';
import { NEXT_FILE } from '../../src/replication/folder-names.ts';
import { newestGeneration } from '../../src/replication/generations.ts';
import { keepGenesis, keptGenesis } from '../../src/replication/kept-genesis.ts';
import { StreamApi } from '../../src/replication/stream-api.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { dataFolder } from '../helpers/replication/data-folder.ts';
import { CLUSTER } from '../helpers/replication/simulated-stream.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
const SIZE = { replicas: 1, bytesMax: 1 << 20 };
const SETTINGS = { rules: 1, shards: 1, shardEntries: 10, dedupeEvents: 10 };
const FIRST: Genesis = {
  ...SETTINGS,
  ...{ id: CLUSTER.toString('hex'), hashKey: { k0: 1, k1: 2 } },
};
const KINDS = ['before', 'after'] as const;
/** What the command asks of NATS. */
const REQUESTS = 10;
const MANY = 100;
/** What a request of the service's waits for its answer. A machine that stands still for so long is no case of this test. */
const REQUEST_MS = 2000;
const REQUEST_MS_MAX = 60_000;
const TRIES_MAX = 10;

class Killed extends Error {}

interface Cut {
  /** Number of the request around which the process ends. */
  readonly call: number;
  readonly kind: (typeof KINDS)[number];
}

/** A connection of a process that is killed there; what it has asked before `after` is done nevertheless. */
function mortal(connection: NatsConnection, { call, kind }: Cut): NatsConnection {
  let calls = 0;
  const around = async (ask: () => Promise<unknown>) => {
    const number = calls++;
    if (number > call || (number === call && kind === 'before')) throw new Killed();
    const answer = await ask();
    if (number === call) throw new Killed();
    return answer;
  };
  return replaced(connection, (ask) => around(ask));
}

/** A connection on which nothing is late. */
function patient(connection: NatsConnection): NatsConnection {
  return new Proxy(connection, {
    get: (target, member) => {
      const own = Reflect.get(target, member);
      if (typeof own !== 'function') return own;
      if (member !== 'request') return own.bind(target);
      return (subject: string, payload: unknown, options: object) =>
        own.call(target, subject, payload, { ...options, timeout: REQUEST_MS_MAX });
    },
  });
}

/** A connection whose requests go through `around`. */
function replaced(
  connection: NatsConnection,
  around: (ask: () => Promise<unknown>, subject: string) => Promise<unknown>,
): NatsConnection {
  return new Proxy(connection, {
    get: (target, member) => {
      const own = Reflect.get(target, member);
      if (typeof own !== 'function') return own;
      if (member !== 'request' && member !== 'requestMany') return own.bind(target);
      return (subject: string, ...rest: unknown[]) =>
        around(() => own.call(target, subject, ...rest), subject);
    },
  });
}

/** A cluster of generation 1 that nobody follows any more, and two folders of it. */
class Left {
  readonly name: string;
  readonly a: string;
  readonly b: string;
  readonly #connection: NatsConnection;

  private constructor(t: Test, connection: NatsConnection, name: string, source: string) {
    this.name = name;
    this.#connection = connection;
    const [a, b] = [tempDir(t), tempDir(t)];
    for (const folder of [a, b]) cpSync(source, folder, { recursive: true });
    for (const folder of [a, b]) keepGenesis(new NodeFileSystem(), folder, name, FIRST);
    this.a = a;
    this.b = b;
  }

  static async begin(t: Test, connection: NatsConnection, name: string, source: string) {
    const names = namesOf(name);
    await createStream(new StreamApi(connection, names.stream), names, SIZE);
    await publishGenesis(connection, names, FIRST);
    return new Left(t, connection, name, source);
  }

  init(dataDir: string, connection = this.#connection, size = SIZE): Promise<Genesis> {
    return beginGeneration({ connection, name: this.name, dataDir, size });
  }

  /** What a start on the folder says of the cluster, or why it is refused. */
  async start(dataDir: string): Promise<Genesis | string> {
    for (let tries = 1; ; tries++) {
      const sinceMs = performance.now();
      const said = await this.#start(dataDir);
      // It may have waited in vain for an answer, and then does with what it has.
      if (performance.now() - sinceMs < REQUEST_MS || tries === TRIES_MAX) return said;
    }
  }

  #start(dataDir: string): Promise<Genesis | string> {
    const servers = [this.#connection.getServer()];
    const nats = { servers, login: { by: 'nothing' } } as const;
    const entering = { onLine: () => undefined, isStopping: () => true };
    return enterCluster({ ...SETTINGS, name: this.name, nats, dataDir }, entering).catch(
      ({ message }: Error) => message,
    );
  }

  stream(generation: number): StreamApi {
    return new StreamApi(this.#connection, namesOf(this.name, generation).stream);
  }

  newest(): Promise<number> {
    return newestGeneration(this.#connection, this.name);
  }

  async genesis(generation: number): Promise<Genesis | string> {
    const first = await this.stream(generation).leaders(1);
    return first === undefined ? 'none' : unpackGenesis(first);
  }

  /** As a server that has lost it. */
  async lose(generation: number): Promise<void> {
    const { stream } = namesOf(this.name, generation);
    await this.#connection.request(`$JS.API.STREAM.DELETE.${stream}`, '{}');
  }
}

t.test('each in a cluster of its own', { skip }, async (t) => {
  const nats = await startNats(t);
  const connection = patient(await connect({ servers: nats.url }));
  t.teardown(() => connection.close());
  const source = dataFolder(t, 30);
  const begin = (name: string) => Left.begin(t, connection, name, source);

  /** From whatever a command that was cut off has left. */
  const goesOn = async (left: Left, what: string) => {
    const begun = await left.init(left.a).catch((error: Error) => error.message);
    t.match(begun, { generation: 2, base: { seq: 30 } }, what);
    t.strictSame(await left.genesis(2), begun, `${what}: that is what the stream begins with`);
    t.strictSame(await left.start(left.a), begun, `${what}: it starts`);
    t.notOk(existsSync(join(left.a, NEXT_FILE)), `${what}: all is done`);
    t.match(await left.start(left.b), /of generation 1 .* goes on as generation 2: move it away/);
    const other = await left.init(left.b).catch((error: Error) => error.message);
    t.match(other, /goes on as generation 2, which was not begun from/, `${what}: nobody else`);
    t.equal(await left.newest(), 2, `${what}: and no generation more`);
  };

  /** Whether it was killed there. */
  const isCutOff = async (cut: Cut, losesStream: boolean): Promise<boolean> => {
    const what = `${cut.kind} request ${cut.call}${losesStream ? ', the old stream lost' : ''}`;
    const left = await begin(`cut${cut.call}${cut.kind}${losesStream}`);
    const died = await left
      .init(left.a, mortal(connection, cut))
      .then(() => false)
      .catch((error: unknown) => {
        if (error instanceof Killed) return true;
        throw error;
      });
    const newest = await left.newest();
    // Done: it would begin another one.
    if (!died) return false;
    const isWritten = existsSync(join(left.a, NEXT_FILE));
    t.equal(newest === 1 || isWritten, true, `${what}: it is written down first`);
    const expected = isWritten ? /that was cut off: run/ : { id: FIRST.id };
    t.match(await left.start(left.a), expected, `${what}: a start on the folder`);
    if (newest === 2) t.match(await left.start(left.b), /move it away/, `${what}: on another one`);
    if (newest === 2) t.match(await left.start(tempDir(t)), /stopped while|cut off/, what);
    if (losesStream) await left.lose(1);
    await goesOn(left, what);
    if (!losesStream) {
      const { config } = await left.stream(1).info();
      t.equal(config.sealed, true, `${what}: nothing gets into the old one`);
    }
    return true;
  };
  const calls = await Promise.all(
    Array.from({ length: REQUESTS + 1 }, (_, call) =>
      Promise.all(
        KINDS.flatMap((kind) =>
          [false, true].map((losesStream) => isCutOff({ call, kind }, losesStream)),
        ),
      ),
    ),
  );
  t.strictSame(
    calls.map((died) => died.includes(true)),
    Array.from({ length: REQUESTS + 1 }, (_, call) => call < REQUESTS),
    'at each of them',
  );

  t.test('its first message comes late', async (t) => {
    const left = await begin('late');
    const { log } = namesOf('late', 2);
    let arrives: () => Promise<unknown> = async () => undefined;
    const dies = replaced(connection, async (ask, subject) => {
      if (subject !== log) return ask();
      arrives = ask;
      throw new Killed();
    });
    t.ok((await left.init(left.a, dies).catch((error) => error)) instanceof Killed);
    const second = replaced(connection, async (ask, subject) => {
      if (subject === log) await arrives();
      return ask();
    });
    await t.rejects(left.init(left.a, second), /was not begun: wrong last sequence/);
    await goesOn(left, 'late');
  });

  t.test('two folders at once', async (t) => {
    const left = await begin('two');
    const tries = await Promise.allSettled([left.init(left.a), left.init(left.b)]);
    t.strictSame(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
    const [won, lost] = tries[0]?.status === 'fulfilled' ? [left.a, left.b] : [left.b, left.a];
    t.match(await left.start(won), { generation: 2 });
    t.match(await left.start(lost), /cut off: run .* again/);
    await t.rejects(left.init(lost), /which was not begun from/);
    t.equal(await left.newest(), 2);
  });

  t.test('the new stream has gone on', async (t) => {
    const left = await begin('trimmed');
    await left.init(left.a);
    await connection.request(namesOf('trimmed', 2).log, 'anything');
    await left.stream(2).purge(2);
    await t.rejects(left.init(left.b), /which was not begun from/);
    t.notOk(existsSync(join(left.b, NEXT_FILE)), 'it has begun nothing');
    t.match(await left.start(left.b), /goes on as generation 2: move it away/);
  });

  t.test('it was killed before the last file had gone', async (t) => {
    const left = await begin('done');
    const begun = await left.init(left.a);
    const file = join(left.a, NEXT_FILE);
    writeFileSync(file, JSON.stringify(begun.base));
    t.strictSame(await left.init(left.a), begun, 'no generation more');
    t.notOk(existsSync(file));
    writeFileSync(file, JSON.stringify(begun.base));
    t.strictSame(await left.start(left.a), begun, 'a start goes on, too');
    t.notOk(existsSync(file));
    t.equal(await left.newest(), 2);
  });

  t.test('it runs again when all is done', async (t) => {
    const left = await begin('again');
    const begun = await left.init(left.a);
    t.strictSame(await left.init(left.a), begun, 'the same, nothing has happened in it');
    t.equal(await left.newest(), 2);
    await connection.request(namesOf('again', 2).log, 'anything');
    t.equal((await left.init(left.a)).generation, 3, 'something had happened in it');
    await left.lose(3);
    t.equal((await left.init(left.a)).generation, 4, 'it was lost');
  });

  t.test('an instance comes up while it is under way', async (t) => {
    const left = await begin('up');
    let asked = 0;
    // It is asked for twice, and again behind the seal.
    const state = { id: 'x', host: 'h', pid: 7, seq: 31, position: 40, stream: 'up' };
    const second = await connect({ servers: connection.getServer() });
    t.teardown(() => second.close());
    second.subscribe(namesOf('up').who, {
      callback: (_, message) => void (++asked > 2 && message.respond(JSON.stringify(state))),
    });
    await second.flush();
    await t.rejects(left.init(left.a), /generation 1 is up \(h, process 7, at seq 31\)/);
    const { config } = await left.stream(1).info();
    t.equal(config.sealed, true, 'what it acknowledges from now on is nothing');
    t.equal(await left.newest(), 1);
    t.notOk(existsSync(join(left.a, NEXT_FILE)), 'the folder is as it was');
    await second.close();
    await goesOn(left, 'up');
  });

  t.test('nobody says whether somebody is up', async (t) => {
    const left = await begin('mute');
    const mute = replaced(connection, (ask, subject) =>
      subject === namesOf('mute').who ? Promise.reject(new Error('not allowed')) : ask(),
    );
    await t.rejects(left.init(left.a, mute), /not allowed/);
    t.equal(await left.newest(), 1);
  });

  t.test('a folder into which data were just being moved', async (t) => {
    const left = await begin('moved');
    mkdirSync(join(left.a, 'joining'));
    renameSync(join(left.a, 'log'), join(left.a, 'log-of-before'));
    mkdirSync(join(left.a, 'log'));
    mkdirSync(join(left.a, 'joining', 'data'));
    renameSync(join(left.a, 'log-of-before'), join(left.a, 'joining', 'data', 'log'));
    for (const name of ['replica-0.json', 'replica-1.json', 'cluster.json']) {
      if (!existsSync(join(left.a, name))) continue;
      renameSync(join(left.a, name), join(left.a, 'joining', 'data', name));
    }
    writeFileSync(join(left.a, 'joining', 'whole'), '');
    t.throws(
      () => keptGenesis(left.a, undefined),
      /just being moved into .*: LOG=jetstream goes on/,
    );
    await goesOn(left, 'moved');
  });

  t.test('a start that can not find out how the stream begins', async (t) => {
    const left = await begin('unsure');
    await left.init(left.a);
    const empty = tempDir(t);
    t.match(await left.start(empty), /stopped while it joined/, 'it joins');
    // As an instance that took the stream for one without anything before it has left it.
    const genesis = await left.genesis(2);
    if (typeof genesis === 'string') throw new Error(genesis);
    keepGenesis(new NodeFileSystem(), empty, 'unsure', genesis);
    t.match(
      await left.start(empty),
      /does not have the data with which generation 2 of the cluster unsure began: empty it/,
    );
  });

  t.test('the command is given another size than before', async (t) => {
    const left = await begin('size');
    const dies = mortal(connection, { call: 7, kind: 'after' });
    t.ok((await left.init(left.a, dies).catch((error) => error)) instanceof Killed);
    const larger = { ...SIZE, bytesMax: SIZE.bytesMax * 2 };
    await t.rejects(left.init(left.a, connection, larger), /--replicas 1 --size 1048576: go on/);
    await goesOn(left, 'with the same');
  });

  t.test('the first generation', async (t) => {
    for (const kind of KINDS) {
      for (let call = 0; call < MANY; call++) {
        const name = `init${call}${kind}`;
        const died = await beginCluster(mortal(connection, { call, kind }), name, SETTINGS, SIZE)
          .then(() => false)
          .catch((error: unknown) => error instanceof Killed);
        const api = new StreamApi(connection, namesOf(name).stream);
        const first = await api.leaders(1).catch(() => undefined);
        const again = await beginCluster(connection, name, SETTINGS, SIZE).catch(
          ({ message }: Error) => message,
        );
        const expected = first === undefined ? { shards: 1 } : /exists already/;
        t.match(again, expected, `${kind} request ${call}`);
        if (!died) break;
      }
    }
  });
});
