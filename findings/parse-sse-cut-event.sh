#!/usr/bin/env bash
# parse-sse 0.1.0 ("spec-compliant" in its readme; Node 24.21.0): when the connection ends in the middle of an event, what has
# arrived of it is handed on as a whole event, and the stream ends without an error. The HTML standard (9.2.6,
# interpreting an event stream) has it otherwise: a block without its closing empty line is discarded at the end
# of the file, and undici's EventSource (7.30.2) does so. Where data is a bare number, cut text is
# a valid wrong value: the price 1299 arrives as 12.
# Output seen:
#   parse-sse        49,12
#   EventSource      49
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts parse-sse@0.1.0 undici@7.30.2 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import http from 'node:http';
import { parseServerSentEvents } from 'parse-sse';
import { EventSource } from 'undici';

// The server meant to send `data: 1299` and an empty line; a proxy ends the (chunked) answer cleanly too early.
const ARRIVED = 'id: 7\ndata: 49\n\nid: 8\ndata: 12';
const server = http.createServer((_, response) => {
  response.setHeader('content-type', 'text/event-stream');
  response.end(ARRIVED);
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const url = `http://127.0.0.1:${server.address().port}/`;

const parsed = [];
for await (const event of parseServerSentEvents(await fetch(url))) parsed.push(event.data);

const source = new EventSource(url);
const standard = [];
await new Promise((resolve) => {
  source.onmessage = (event) => standard.push(event.data);
  source.onerror = resolve;
});
source.close();
server.close();
console.log(`parse-sse        ${parsed}`);
console.log(`EventSource      ${standard}`);
process.exitCode = `${parsed}` === '49,12' && `${standard}` === '49' ? 0 : 1;
JS
NODE_NO_WARNINGS=1 timeout 30 node_modules/.bin/node run.mjs || { echo 'the behaviour has changed' >&2; exit 1; }
