#!/usr/bin/env bash
# Node 24.21.0, node:sqlite: a Date as the first value of a statement is taken for an (empty) object of named
# parameters. So it is not bound, each value behind it goes to the parameter before its own, the last one stays
# NULL, and nothing is thrown. One would expect an error, as for a Date anywhere else, or a bound time. A row
# gets the wrong columns in silence.
# Output seen:
#   ('x', 'y')          {"a":"x","b":"y"}
#   (new Date(0), 'y')  {"a":"y","b":null}
#   ('x', new Date(0))  ERR_INVALID_ARG_TYPE
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import { DatabaseSync } from 'node:sqlite';

const statement = new DatabaseSync(':memory:').prepare('SELECT ? AS a, ? AS b');
const said = (...values) => {
  try {
    return JSON.stringify(statement.get(...values));
  } catch (error) {
    return error.code;
  }
};
const seen = [said('x', 'y'), said(new Date(0), 'y'), said('x', new Date(0))];
console.log(`('x', 'y')          ${seen[0]}`);
console.log(`(new Date(0), 'y')  ${seen[1]}`);
console.log(`('x', new Date(0))  ${seen[2]}`);
process.exitCode = seen[1] === '{"a":"y","b":null}' && seen[2] === 'ERR_INVALID_ARG_TYPE' ? 0 : 1;
JS
node_modules/.bin/node --disable-warning=ExperimentalWarning run.mjs || { echo 'the behaviour has changed' >&2; exit 1; }
