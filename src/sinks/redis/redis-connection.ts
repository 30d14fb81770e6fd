/**
 * A connection to one Redis or to a cluster of them, by the same calls. The sink's own thread. It never comes
 * back by itself: whoever holds it drops it after a failure and opens another one. Each call has a deadline.
 */
import { createClient, createCluster } from '@redis/client';
import { withDeadline } from '../with-deadline.ts';
import { LIBRARY } from './redis-functions.ts';

/** Keys looked at by one SCAN. */
const SCANNED_AT_A_TIME = '1000';

export interface RedisConnection {
  readonly isCluster: boolean;
  /** Calls a function of ours; `keys` are of one hash slot in a cluster. */
  call(name: string, keys: readonly string[], values: readonly string[]): Promise<unknown>;
  /** Keys of hashes that begin with `prefix`, a page at a time; some may come twice. */
  keys(prefix: string): AsyncIterable<readonly string[]>;
  /** A field of each hash; null where there is none. */
  fields(keys: readonly string[], field: string): Promise<readonly unknown[]>;
  drop(): void;
}

/** What a client and a cluster have in common for us. */
interface Ends {
  readonly isCluster: boolean;
  send(firstKey: string, command: readonly string[]): Promise<unknown>;
  /** To each of the servers that keys are written to. */
  sendToAll(command: readonly string[]): Promise<unknown>;
  /** To the server with this number among them; `undefined` if there are not so many. */
  sendTo(server: number, command: readonly string[]): Promise<unknown> | undefined;
  drop(): void;
}

/** Connects, finds out whether it is a cluster, and loads our functions. Rejects with the client's errors. */
export async function connectRedis(url: string, timeoutMs: number): Promise<RedisConnection> {
  const ends = await connect(url, timeoutMs);
  const bounded = <T>(what: string, call: Promise<T>) => withDeadline(timeoutMs, what, call);
  try {
    await bounded('loading functions', ends.sendToAll(['FUNCTION', 'LOAD', 'REPLACE', LIBRARY]));
  } catch (error) {
    ends.drop();
    throw error;
  }
  return {
    isCluster: ends.isCluster,
    call: (name, keys, values) =>
      bounded(
        name,
        ends.send(keys[0] ?? '', ['FCALL', name, String(keys.length), ...keys, ...values]),
      ),
    async *keys(prefix) {
      const match = `${prefix.replace(/[*?[\]\\]/g, '\\$&')}*`;
      const words = ['MATCH', match, 'COUNT', SCANNED_AT_A_TIME, 'TYPE', 'hash'];
      for (let server = 0; ; server++) {
        let cursor = '0';
        do {
          const answer = ends.sendTo(server, ['SCAN', cursor, ...words]);
          if (answer === undefined) return;
          const [next, keys] = (await bounded('SCAN', answer)) as [unknown, unknown[]];
          cursor = String(next);
          yield keys.map(String);
        } while (cursor !== '0');
      }
    },
    fields: (keys, field) =>
      bounded('HGET', Promise.all(keys.map((key) => ends.send(key, ['HGET', key, field])))),
    drop: () => ends.drop(),
  };
}

async function connect(url: string, timeoutMs: number): Promise<Ends> {
  const socket = { connectTimeout: timeoutMs, reconnectStrategy: false as const };
  const client = createClient({ url, socket, disableOfflineQueue: true });
  // What breaks while nobody calls; the next call says so itself.
  client.on('error', () => undefined);
  const drop = () => {
    if (client.isOpen) client.destroy();
  };
  try {
    await withDeadline(timeoutMs, 'the connection', client.connect());
    const info = await withDeadline(timeoutMs, 'INFO', client.sendCommand(['INFO', 'cluster']));
    if (!/cluster_enabled:1/.test(String(info))) {
      return {
        isCluster: false,
        send: (_key, command) => client.sendCommand([...command]),
        sendToAll: (command) => client.sendCommand([...command]),
        sendTo: (server, command) => (server === 0 ? client.sendCommand([...command]) : undefined),
        drop,
      };
    }
  } catch (error) {
    drop();
    throw error;
  }
  drop();
  return await connectCluster(url, timeoutMs);
}

async function connectCluster(url: string, timeoutMs: number): Promise<Ends> {
  const { username, password, protocol } = new URL(url);
  const socket = { connectTimeout: timeoutMs, reconnectStrategy: false as const };
  const cluster = createCluster({
    rootNodes: [{ url }],
    // Its other nodes are reported by address alone.
    defaults: {
      ...(username === '' ? {} : { username: decodeURIComponent(username) }),
      ...(password === '' ? {} : { password: decodeURIComponent(password) }),
      socket: protocol === 'rediss:' ? { ...socket, tls: true as const } : socket,
    },
  });
  cluster.on('error', () => undefined);
  const drop = () => {
    if (cluster.isOpen) cluster.destroy();
  };
  try {
    await withDeadline(timeoutMs, 'the connection', cluster.connect());
  } catch (error) {
    drop();
    throw error;
  }
  return {
    isCluster: true,
    send: (key, command) => cluster.sendCommand(key, false, [...command]),
    sendToAll: (command) =>
      Promise.all(
        cluster.masters.map(async (master) =>
          (await cluster.nodeClient(master)).sendCommand([...command]),
        ),
      ),
    sendTo: (server, command) => {
      const master = cluster.masters[server];
      if (master === undefined) return undefined;
      return Promise.resolve(cluster.nodeClient(master)).then((client) =>
        client.sendCommand([...command]),
      );
    },
    drop,
  };
}
