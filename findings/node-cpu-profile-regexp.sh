#!/usr/bin/env bash
# Node 24.21.0: v8.startCpuProfile().stop() and worker.startCpuProfile() hand out the profile "as JSON", but write function names
# into it as they are. V8 calls a regular expression's compiled code `RegExp: SOURCE`, so as soon as one sample falls into a
# pattern with a backslash or a quotation mark in it, the text is no JSON, and JSON.parse throws. One would expect what the inspector's
# Profiler.stop gives of the same work, which is right. A profile that works on a resting machine fails now and then on a
# busy one. (The names can be escaped afterwards: the member behind a name is always "lineNumber".)
# Output seen:
#   v8.startCpuProfile      SyntaxError; it has "functionName":"RegExp: (\d+)\s*"x","lineNumber"
#   worker.startCpuProfile  SyntaxError; it has "functionName":"RegExp: (\d+)\s*"x","lineNumber"
#   inspector               parsed; its name is RegExp: (\d+)\s*"x
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >work.mjs <<'JS'
const pattern = /(\d+)\s*"x/;
const text = 'ab 12 '.repeat(3000);
/** Some hundred milliseconds in the pattern. */
export function work() {
  for (let i = 0; i < 3000; i++) pattern.test(text);
}
JS
cat >thread.mjs <<'JS'
import { parentPort } from 'node:worker_threads';
import { work } from './work.mjs';
parentPort.on('message', () => {
  work();
  parentPort.postMessage('done');
});
parentPort.postMessage('ready');
JS
cat >run.mjs <<'JS'
import { once } from 'node:events';
import { Session } from 'node:inspector/promises';
import { startCpuProfile } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { work } from './work.mjs';

function outcome(text) {
  try {
    return `parsed; its name is ${JSON.parse(text).nodes.find(({ callFrame }) => callFrame.functionName.startsWith('RegExp')).callFrame.functionName}`;
  } catch (error) {
    const [seen] = /"functionName":"RegExp: .*?"lineNumber"/.exec(text) ?? ['no such name'];
    return `${error.name}; it has ${seen}`;
  }
}

const WAYS = {
  'v8.startCpuProfile': () => {
    const own = startCpuProfile();
    work();
    return own.stop();
  },
  'worker.startCpuProfile': async () => {
    const worker = new Worker(new URL('thread.mjs', import.meta.url));
    await once(worker, 'message');
    const handle = await worker.startCpuProfile();
    worker.postMessage('work');
    await once(worker, 'message');
    const text = await handle.stop();
    await worker.terminate();
    return text;
  },
  inspector: async () => {
    const session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    work();
    return JSON.stringify((await session.post('Profiler.stop')).profile);
  },
};
const [name] = process.argv.slice(2);
console.log(`${name.padEnd(23)} ${outcome(await WAYS[name]())}`);
JS
for way in v8.startCpuProfile worker.startCpuProfile inspector; do
  timeout 60 node_modules/.bin/node run.mjs "$way"
done | tee seen.txt
diff - seen.txt <<'TEXT' >/dev/null || { echo 'the behaviour has changed' >&2; exit 1; }
v8.startCpuProfile      SyntaxError; it has "functionName":"RegExp: (\d+)\s*"x","lineNumber"
worker.startCpuProfile  SyntaxError; it has "functionName":"RegExp: (\d+)\s*"x","lineNumber"
inspector               parsed; its name is RegExp: (\d+)\s*"x
TEXT
