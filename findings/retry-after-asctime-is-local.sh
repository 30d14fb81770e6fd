#!/usr/bin/env bash
# undici 8.13.1 (interceptors.retry) and axios-retry 4.5.0 read the date of a Retry-After by JavaScript's Date, which takes
# the asctime form of an HTTP date (it has no zone) for local time. RFC 9110, 5.6.7: a recipient MUST accept all
# three forms, and asctime is UTC. One would expect the same wait in every zone, as got 16.1.0 and ky 2.1.0 have it.
# East of Greenwich the time seems to be past, and the client asks again at once whoever asked it to wait.
# (undici's cache, in the same package, has a parser of its own that knows this.)
# Output seen, the server asking for 3 s (at once: within 1.5 s):
#   client asctime, UTC  asctime, Berlin  IMF-fixdate, Berlin
#   undici waits         at once          waits
#   axios  waits         at once          waits
#   got    waits         waits            waits
#   ky     waits         waits            waits
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts \
  undici@8.13.1 axios@1.21.1 axios-retry@4.5.0 got@16.1.0 ky@2.1.0 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import http from 'node:http';
import axios from 'axios';
import axiosRetry from 'axios-retry';
import got from 'got';
import ky from 'ky';
import { Agent, interceptors, request } from 'undici';

/** The HTTP date of a time, with its zone or in the form of C's asctime(). */
const FORMS = {
  imf: (time) => time.toUTCString(),
  asctime: (time) => {
    const [, day, date, month, year, clock] = /^(\w+), (\d+) (\w+) (\d+) (\S+)/.exec(time.toUTCString());
    return `${day} ${month} ${date.replace(/^0/, ' ')} ${clock} ${year}`;
  },
};
const CLIENTS = {
  undici: async (url) => {
    const dispatcher = new Agent().compose(interceptors.retry({ maxRetries: 1 }));
    await (await request(url, { dispatcher })).body.text();
  },
  axios: (url) => {
    const client = axios.create();
    axiosRetry(client, { retries: 1 });
    return client.get(url);
  },
  got: (url) => got(url, { retry: { limit: 1 } }).text(),
  ky: (url) => ky(url, { retry: 1 }).text(),
};

const asked = new Map();
const server = http.createServer((incoming, response) => {
  const times = asked.get(incoming.url) ?? [];
  asked.set(incoming.url, [...times, performance.now()]);
  if (times.length > 0) return response.end('ok');
  const form = incoming.url.split('/')[2];
  response.writeHead(503, { 'retry-after': FORMS[form](new Date(Date.now() + 3000)) }).end();
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const base = `http://127.0.0.1:${server.address().port}`;
await Promise.all(
  Object.entries(CLIENTS).flatMap(([name, get]) => Object.keys(FORMS).map((form) => get(`${base}/${name}/${form}`))),
);
for (const name of Object.keys(CLIENTS)) {
  for (const form of Object.keys(FORMS)) {
    const [first, second] = asked.get(`/${name}/${form}`);
    // Whole seconds: the date asks for 2 to 3 s from now.
    console.log(`${name} ${form} ${second - first > 1500 ? 'waits' : 'at once'}`);
  }
}
process.exit();
JS
run() { TZ=$1 NODE_NO_WARNINGS=1 timeout 30 node_modules/.bin/node run.mjs; }
utc=$(run UTC)
berlin=$(run Europe/Berlin)
of() { grep -oP "^$2 $3 \K.*" <<<"$1"; }
same=true
echo 'client asctime, UTC  asctime, Berlin  IMF-fixdate, Berlin'
for client in undici axios got ky; do
  line=$(printf '%-6s %-13s %-16s %s' "$client" "$(of "$utc" "$client" asctime)" \
    "$(of "$berlin" "$client" asctime)" "$(of "$berlin" "$client" imf)")
  echo "$line"
  abroad=waits
  [[ $client == undici || $client == axios ]] && abroad='at once'
  [[ $line =~ ^$client\ +waits\ +"$abroad"\ +waits$ ]] || same=false
done
$same || { echo 'the behaviour has changed' >&2; exit 1; }
