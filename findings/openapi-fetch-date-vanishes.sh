#!/usr/bin/env bash
# openapi-fetch 0.17.0 (Node 24.21.0): a Date as a parameter is serialised as an object without members. In the query it is left
# out, name and all; in the path the segment is empty. Nothing is thrown. One would expect some text of it, as
# URLSearchParams makes (a server can refuse that), or an error as for a nested object. The types allow it where
# openapi-typescript is told to write Date for `format: date-time` (its notes to 7.0.0 show how). A client that
# asks for what changed since a time gets everything.
# Output seen:
#   query  text   /changes?since=2026-11-30T00%3A00%3A00.000Z&limit=10
#   query  Date   /changes?&limit=10
#   path   Date   /days/
#   query  nested an error
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts openapi-fetch@0.17.0 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import createClient from 'openapi-fetch';

let asked;
const client = createClient({
  baseUrl: 'http://localhost',
  fetch: async ({ url }) => {
    asked = url.replace('http://localhost', '');
    return Response.json({});
  },
});
const since = new Date('2026-11-30T00:00:00Z');
const seen = [];
const ask = async (path, params) => {
  await client.GET(path, { params }).catch(() => { asked = 'an error'; });
  seen.push(asked);
  return asked;
};
console.log(`query  text   ${await ask('/changes', { query: { since: since.toISOString(), limit: 10 } })}`);
console.log(`query  Date   ${await ask('/changes', { query: { since, limit: 10 } })}`);
console.log(`path   Date   ${await ask('/days/{day}', { path: { day: since } })}`);
console.log(`query  nested ${await ask('/changes', { query: { since: { a: {} } } })}`);
const wanted = ['/changes?since=2026-11-30T00%3A00%3A00.000Z&limit=10', '/changes?&limit=10', '/days/', 'an error'];
process.exitCode = seen.join() === wanted.join() ? 0 : 1;
JS
node_modules/.bin/node run.mjs || { echo 'the behaviour has changed' >&2; exit 1; }
