/** A history in a file of SQLite, for the contracts. Tests only. */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { Test } from 'tap';
import { SqliteHistory } from '../../../src/history/sqlite/sqlite-history.ts';
import { SqliteReads } from '../../../src/history/sqlite/sqlite-reads.ts';
import { tempDir } from '../../helpers/disks/temp-dir.ts';
import type { HistoryWorld } from './history-contract.ts';

export async function fileWorld(t: Test): Promise<HistoryWorld & { readonly path: string }> {
  const path = join(tempDir(t), 'history.sqlite');
  return {
    path,
    makeStore: () => new SqliteHistory(path),
    makeReads: () => new SqliteReads(path),
    runs: async () => {
      const database = new DatabaseSync(path, { readOnly: true });
      const row = database.prepare('SELECT count(*) AS n FROM runs').get();
      database.close();
      return Number(row?.n);
    },
  };
}
