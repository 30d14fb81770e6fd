#!/usr/bin/env bash
# csv-parser 3.2.1 (Node 24.21.0): to unescape a doubled quote, the parser moves bytes inside the very Buffer that it was
# given. One would expect a parser only to read its input: a Readable piped to two places hands both the same Buffer.
# So an archive, a checksum or a second parser behind it works on other bytes than arrived, in rows with a quote in a field.
# Output seen:
#   arrived             1,"17"" screen"|2,plain|
#   archived, alone     1,"17"" screen"|2,plain|
#   archived, after csv 1,"17" screenn"|2,plain|
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts csv-parser@3.2.1 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.cjs <<'JS'
const { PassThrough } = require('node:stream');
const { text } = require('node:stream/consumers');
const csv = require('csv-parser');

const FEED = '1,"17"" screen"\n2,plain\n';
const archived = async (...parsers) => {
  const source = new PassThrough();
  for (const parser of parsers) source.pipe(parser).resume();
  const archive = source.pipe(new PassThrough());
  source.end(Buffer.from(FEED));
  return text(archive);
};
const shown = (value) => value.replaceAll('\n', '|');
(async () => {
  const alone = await archived();
  const behind = await archived(csv(['id', 'name']));
  console.log(`arrived             ${shown(FEED)}`);
  console.log(`archived, alone     ${shown(alone)}`);
  console.log(`archived, after csv ${shown(behind)}`);
  process.exitCode = alone === FEED && behind === '1,"17" screenn"\n2,plain\n' ? 0 : 1;
})();
JS
node_modules/.bin/node run.cjs || { echo 'the behaviour has changed' >&2; exit 1; }
