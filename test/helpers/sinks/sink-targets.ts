/** The databases of Debian's that a test runs a whole service with, each with how to read and to hurt it. Tests only. */
import { join } from 'node:path';
import type { Test } from 'tap';
import type { ProductRow } from '../../../src/sinks/sink.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { startPostgres } from '../servers/postgres-server.ts';
import { startRedis } from '../servers/redis-server.ts';
import type { ServerProcess } from '../servers/server-process.ts';
import { postgresPosition, postgresRows } from './postgres-rows.ts';
import { redisPosition, redisRows } from './redis-rows.ts';
import { sqlitePosition, sqliteRows } from './sqlite-rows.ts';

export interface SinkTargetWorld {
  /** As SINKS names it. */
  readonly sink: string;
  rows(): Promise<readonly ProductRow[]>;
  position(): Promise<number>;
  /** None where the database is a file. */
  readonly server?: ServerProcess;
}

export const TARGETS: Readonly<Record<string, (t: Test) => Promise<SinkTargetWorld>>> = {
  sqlite: async (t) => {
    const path = join(tempDir(t), 'products.db');
    return {
      sink: `sqlite:${path}`,
      rows: async () => sqliteRows(path),
      position: async () => sqlitePosition(path),
    };
  },
  postgres: async (t) => {
    const server = await startPostgres(t);
    return {
      sink: `${server.url}?schema=feed`,
      rows: () => postgresRows(server, 'feed'),
      position: () => postgresPosition(server, 'feed'),
      server: server.process,
    };
  },
  redis: async (t) => {
    const server = await startRedis(t);
    return {
      sink: `${server.url}?prefix=p%3A`,
      rows: () => redisRows([server], 'p:'),
      position: () => redisPosition([server], 'p:'),
      server: server.process,
    };
  },
};
