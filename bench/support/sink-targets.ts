/** The databases that a bench has sinks write to: each can be counted, emptied and stopped. Started by the bench. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PostgresProcess } from './postgres-process.ts';
import { RedisProcess } from './redis-process.ts';

export type SinkKind = 'sqlite' | 'postgres' | 'redis';

export interface SinkTarget {
  readonly kind: SinkKind;
  readonly sink: string;
  /** How many products it has. */
  count(): Promise<number>;
  empty(): Promise<void>;
  stop(): Promise<void>;
}

/** A file in `folder`. */
export function sqliteTarget(folder: string): SinkTarget {
  const path = join(folder, 'sink', 'products.db');
  mkdirSync(join(folder, 'sink'));
  return {
    kind: 'sqlite',
    sink: `sqlite:${path}`,
    count: async () => {
      const database = new DatabaseSync(path, { readOnly: true });
      const row = database.prepare('SELECT count(*) AS count FROM products').get();
      database.close();
      return Number(row?.count);
    },
    empty: async () => {
      rmSync(join(folder, 'sink'), { recursive: true });
      mkdirSync(join(folder, 'sink'));
    },
    stop: async () => undefined,
  };
}

/** Debian's server of that version, started for the bench. */
export async function postgresTarget(version: string): Promise<SinkTarget> {
  const server = await PostgresProcess.start(version);
  return {
    kind: 'postgres',
    sink: `${server.url}?schema=bench`,
    count: async () =>
      Number((await server.query('SELECT count(*) FROM bench.products'))[0]?.count),
    empty: async () => void (await server.query('DROP SCHEMA IF EXISTS bench CASCADE')),
    stop: () => server.stop(),
  };
}

/** Debian's server, with its files in `folder`. */
export async function redisTarget(folder: string): Promise<SinkTarget> {
  mkdirSync(join(folder, 'redis'));
  const server = await RedisProcess.start(join(folder, 'redis'));
  return {
    kind: 'redis',
    sink: `redis://127.0.0.1:${server.port}`,
    // One key is the sink's own.
    count: async () => Number(await server.command('DBSIZE')) - 1,
    empty: async () => void (await server.command('FLUSHALL')),
    stop: () => server.stop(),
  };
}
