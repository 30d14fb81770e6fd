/** A year of a shop in any order of delivery, in Debian's PostgreSQL. */
import t from 'tap';
import { startPostgres } from '../helpers/servers/postgres-server.ts';
import { PostgresWorlds } from '../history/contract/postgres-world.ts';
import { describeRetailYear } from '../history/contract/retail-year.ts';

/** A transaction of late events may be slow on a busy machine. */
const TIMEOUT_MS = 120_000;

let worlds: PostgresWorlds;

t.before(async () => {
  worlds = new PostgresWorlds(await startPostgres(t), TIMEOUT_MS);
});

describeRetailYear('PostgreSQL', async () => worlds.next(), {
  slice: 20_000,
  products: 40,
  taken: 500,
});
