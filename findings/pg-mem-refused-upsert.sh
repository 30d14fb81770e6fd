#!/usr/bin/env bash
# pg-mem 3.0.14 (PostgreSQL in memory, for tests) beside PGlite 0.5.17 (PostgreSQL's own code): an upsert whose WHERE
# refuses the update leaves the row as it is in both. But pg-mem counts it and RETURNING names it; PostgreSQL says
# 0 rows ("only rows that were successfully inserted or updated", its documentation of INSERT). One would expect
# the WHERE either to fail or to work in full. Code that counts stale events by rowCount is wrong in one of the two,
# and passes its tests. FILTER in an aggregate is likewise taken and not applied.
# Output seen:
#   PGlite  price 10  affected 0  returned 0  filtered 1
#   pg-mem  price 10  affected 1  returned 1  filtered 2
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts pg-mem@3.0.14 @electric-sql/pglite@0.5.17 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import { PGlite } from '@electric-sql/pglite';
import { newDb } from 'pg-mem';

const UPSERT = `INSERT INTO prices VALUES ('a', 5, 50) ON CONFLICT (id)
  DO UPDATE SET price = excluded.price, at = excluded.at WHERE excluded.at > prices.at`;
const STEPS = [
  'CREATE TABLE prices (id text PRIMARY KEY, price int, at int)',
  "INSERT INTO prices VALUES ('a', 10, 100), ('b', 20, 1)",
];
const say = async (name, query) => {
  for (const step of STEPS) await query(step);
  const { affected } = await query(UPSERT);
  const { rows: returned } = await query(`${UPSERT} RETURNING id`);
  const [{ price }] = (await query("SELECT price FROM prices WHERE id = 'a'")).rows;
  const [{ n }] = (await query('SELECT count(*) FILTER (WHERE at > 1) AS n FROM prices')).rows;
  const line = `price ${price}  affected ${affected}  returned ${returned.length}  filtered ${n}`;
  console.log(`${name}  ${line}`);
  return line;
};

const real = new PGlite();
const { Client } = newDb().adapters.createPg();
const fake = new Client();
await fake.connect();
const seen = [
  await say('PGlite', async (sql) => real.query(sql).then(({ affectedRows, rows }) => ({ affected: affectedRows, rows }))),
  await say('pg-mem', async (sql) => fake.query(sql).then(({ rowCount, rows }) => ({ affected: rowCount, rows }))),
];
await real.close();
const wanted = ['price 10  affected 0  returned 0  filtered 1', 'price 10  affected 1  returned 1  filtered 2'];
process.exitCode = seen.join() === wanted.join() ? 0 : 1;
JS
timeout 50 node_modules/.bin/node run.mjs || { echo 'the behaviour has changed' >&2; exit 1; }
