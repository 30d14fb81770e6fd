#!/usr/bin/env bash
# find-my-way 9.10.1 (Fastify's router): the pattern /products/:id also matches /products/ and hands the
# handler an empty id. One would expect a parameter to need at least one character (as in path-to-regexp,
# where /products/:id does not match /products/). A handler that looks up '' answers about a product that
# nobody can name instead of 404 for the path.
# Output seen:
#   find-my-way     /products/ → {"id":""}
#   path-to-regexp  /products/ → false
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts find-my-way@9.10.1 path-to-regexp@8.3.0 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.cjs <<'JS'
const router = require('find-my-way')();
const { match } = require('path-to-regexp');
router.on('GET', '/products/:id', () => {});
const found = router.find('GET', '/products/')?.params;
const other = match('/products/:id', { trailing: false })('/products/');
console.log(`find-my-way     /products/ → ${JSON.stringify(found)}`);
console.log(`path-to-regexp  /products/ → ${JSON.stringify(other)}`);
process.exitCode = found?.id === '' && other === false ? 0 : 1;
JS
node_modules/.bin/node run.cjs || { echo 'the behaviour has changed' >&2; exit 1; }
