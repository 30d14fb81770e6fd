#!/usr/bin/env bash
# Node 24.21.0, node:http2's client: a request that is made once the server's GOAWAY has been read is not thrown out by
# request(): it gets a stream that never has an id, fails with ERR_HTTP2_GOAWAY_SESSION, and has rstCode 2, INTERNAL_ERROR,
# although nothing was sent; `sentHeaders` is set all the same. One made in the `goaway` event itself has rstCode 7,
# REFUSED_STREAM. One would expect the same of both: REFUSED_STREAM is what tells a client that it may repeat a request
# which is not idempotent (RFC 9113, 8.7). Who goes by rstCode counts these as lost: look at the error's code, too.
# Output seen:
#   before the goodbye    rstCode 0  no error                  id 1     sentHeaders set
#   in its event          rstCode 7  ERR_HTTP2_STREAM_ERROR    id 3     sentHeaders set
#   after it              rstCode 2  ERR_HTTP2_GOAWAY_SESSION  id none  sentHeaders set
#   streams that the server saw: 1
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import http2 from 'node:http2';

let seen = 0;
let serverSession;
const server = http2.createServer();
server.on('session', (session) => { serverSession = session; });
server.on('stream', (stream) => {
  seen++;
  stream.respond({ ':status': 200 });
  stream.end('answered');
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const client = http2.connect(`http://127.0.0.1:${server.address().port}`);

const lines = [];
function ask(when) {
  return new Promise((resolve) => {
    const stream = client.request({ ':path': '/' });
    let error = 'no error';
    stream.on('error', ({ code }) => { error = code; });
    stream.on('close', () => {
      const headers = stream.sentHeaders === undefined ? '' : '  sentHeaders set';
      const facts = `rstCode ${stream.rstCode}  ${error.padEnd(24)}  id ${`${stream.id ?? 'none'}`.padEnd(4)}${headers}`;
      lines.push(`${when.padEnd(20)}  ${facts}`);
      resolve();
    });
    stream.resume();
  });
}

await ask('before the goodbye');
const inEvent = new Promise((resolve) => client.once('goaway', () => resolve(ask('in its event'))));
serverSession.close();
await inEvent;
await ask('after it');
lines.push(`streams that the server saw: ${seen}`);
for (const line of lines) console.log(line);
client.destroy();
server.close();
const wanted = [/rstCode 0 /, /rstCode 7 .*id 3/, /rstCode 2 .*GOAWAY_SESSION.*id none .*set/, /: 1$/];
process.exitCode = lines.length === 4 && lines.every((line, i) => wanted[i].test(line)) ? 0 : 1;
JS
timeout 60 node_modules/.bin/node run.mjs || { echo 'the behaviour has changed' >&2; exit 1; }
