/** Histories in one PostgreSQL, each in a schema of its own, for the contracts. Tests only. */
import { PostgresHistory } from '../../../src/history/postgres/postgres-history.ts';
import { PostgresReads } from '../../../src/history/postgres/postgres-reads.ts';
import { PostgresStandby } from '../../../src/history/postgres/postgres-standby.ts';
import type { PostgresServer } from '../../helpers/servers/postgres-server.ts';
import type { HistoryWorld } from './history-contract.ts';

const TIMEOUT_MS = 10_000;

export interface PostgresWorld extends HistoryWorld {
  readonly schema: string;
  /** `identity`: of the data folder. */
  makeStore(identity?: string, timeoutMs?: number): PostgresHistory;
  /** Of an instance of a cluster, called so, and what it was called in the generation before. */
  makeShared(
    identity: string,
    before?: { readonly identity: string; readonly seqMax: number },
  ): { readonly store: PostgresHistory; readonly standby: PostgresStandby };
}

const OF_ONE = { kind: 'postgres', isShared: false, connectionsMax: 4 } as const;

export class PostgresWorlds {
  readonly #server: PostgresServer;
  readonly #timeoutMs: number;
  #schemas = 0;

  constructor(server: PostgresServer, timeoutMs = TIMEOUT_MS) {
    this.#server = server;
    this.#timeoutMs = timeoutMs;
  }

  /** A name that no other one has. */
  schema(): string {
    return `history_${++this.#schemas}`;
  }

  next(): PostgresWorld {
    const { url, query } = this.#server;
    const schema = this.schema();
    const target = (identity: string, timeoutMs: number) =>
      ({ ...OF_ONE, url, schema, identity, timeoutMs }) as const;
    return {
      schema,
      makeStore: (identity = 'a', timeoutMs = this.#timeoutMs) =>
        new PostgresHistory(target(identity, timeoutMs)),
      makeShared: (identity, before) => {
        const shared = { ...target(identity, this.#timeoutMs), isShared: true, before };
        return { store: new PostgresHistory(shared), standby: new PostgresStandby(shared) };
      },
      makeReads: () => new PostgresReads(target('a', this.#timeoutMs)),
      runs: async () => {
        const { rows } = await query(
          `SELECT count(*) AS n FROM ${schema}.product_service_history_runs`,
        );
        return Number(rows[0].n);
      },
    };
  }
}
