#!/usr/bin/env bash
# Node 24.21.0, node:http2's request and response objects: when a client gives a request up in the middle of its
# body (RST_STREAM, no content-length), the body ends like a whole one: `complete` is true, text() and pipeline()
# resolve, for await comes to its end; only then `aborted` is emitted. One would expect what node:http does with
# the same handler when a client goes away: an error, and `complete` false. A handler that serves both
# takes half an upload for all of it.
# Output seen:
#   HTTP/1.1 text      rejected ECONNRESET  complete false
#   HTTP/1.1 for await rejected ECONNRESET  complete false
#   HTTP/1.1 pipeline  rejected ECONNRESET  complete false
#   HTTP/2   text      resolved with 100    complete true
#   HTTP/2   for await resolved with 100    complete true
#   HTTP/2   pipeline  resolved with 100    complete true
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import http from 'node:http';
import http2 from 'node:http2';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

const WAYS = {
  text: async (body) => (await text(body)).length,
  'for await': async (body) => {
    let bytes = 0;
    for await (const chunk of body) bytes += chunk.length;
    return bytes;
  },
  pipeline: async (body) => {
    let bytes = 0;
    const sink = new Writable({ write: (chunk, _, done) => { bytes += chunk.length; done(); } });
    await pipeline(body, sink);
    return bytes;
  },
};

/** Sends 100 bytes of a body without a length, then gives the request up. */
const CLIENTS = {
  'HTTP/1.1': (port) => {
    const request = http.request({ port, host: '127.0.0.1', method: 'POST' });
    request.on('error', () => {});
    request.write('x'.repeat(100));
    return { giveUp: () => request.destroy(), end: () => {} };
  },
  'HTTP/2': (port) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    const stream = session.request({ ':method': 'POST', ':path': '/' });
    stream.on('error', () => {});
    stream.write('x'.repeat(100));
    return { giveUp: () => stream.close(http2.constants.NGHTTP2_CANCEL), end: () => session.destroy() };
  },
};

let same = true;
for (const [version, makeServer] of [['HTTP/1.1', http.createServer], ['HTTP/2', http2.createServer]]) {
  for (const [name, read] of Object.entries(WAYS)) {
    let client;
    const outcome = await new Promise((resolve) => {
      const server = makeServer(async (request) => {
        request.once('data', () => setImmediate(() => client.giveUp()));
        const end = await read(request).then((n) => `resolved with ${n}`, (error) => `rejected ${error.code}`);
        resolve(`${end.padEnd(20)} complete ${request.complete}`);
        client.end();
        server.close();
      });
      server.listen(0, '127.0.0.1', () => { client = CLIENTS[version](server.address().port); });
    });
    console.log(`${version.padEnd(8)} ${name.padEnd(9)} ${outcome}`);
    const wanted = version === 'HTTP/2' ? /^resolved with 100 +complete true$/ : /^rejected \w+ +complete false$/;
    same &&= wanted.test(outcome);
  }
}
process.exitCode = same ? 0 : 1;
JS
timeout 60 node_modules/.bin/node run.mjs || { echo 'the behaviour has changed' >&2; exit 1; }
