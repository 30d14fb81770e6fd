#!/usr/bin/env bash
# light-my-request 6.8.1 (Fastify's inject; Node 24.21.0): a path with `.` or `..` segments, plain or as %2e, is resolved
# before the app sees it, as a browser's URL parser does. A raw HTTP request sends the same path as it is,
# and node:http hands it on unresolved. One would expect inject to hand the app the path that was written:
# so a test by inject never reaches a route's handling of such paths, and passes for the wrong reason.
# Output seen:
#   inject /v1/x/../y       app saw /v1/y
#   inject /v1/x/%2e%2e/y   app saw /v1/y
#   socket /v1/x/../y       app saw /v1/x/../y
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts light-my-request@6.8.1 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.cjs <<'JS'
const http = require('node:http');
const inject = require('light-my-request');
const app = (req, res) => res.end(req.url);
(async () => {
  const seen = [];
  for (const url of ['/v1/x/../y', '/v1/x/%2e%2e/y']) {
    const { payload } = await inject(app, { method: 'GET', url });
    seen.push(payload);
    console.log(`inject ${url.padEnd(16)} app saw ${payload}`);
  }
  const server = http.createServer(app).listen(0, '127.0.0.1', () => {
    http.get({ port: server.address().port, host: '127.0.0.1', path: '/v1/x/../y' }, async (res) => {
      let text = '';
      for await (const part of res) text += part;
      console.log(`socket ${'/v1/x/../y'.padEnd(16)} app saw ${text}`);
      server.close();
      const same = seen.every((path) => path === '/v1/y') && text === '/v1/x/../y';
      process.exitCode = same ? 0 : 1;
    });
  });
})();
JS
node_modules/.bin/node run.cjs || { echo 'the behaviour has changed' >&2; exit 1; }
