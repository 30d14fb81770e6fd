#!/usr/bin/env bash
# tap 21.8.0: with coverage disabled, every process and every worker thread of a test still loads
# @tapjs/processinfo, which hooks the loading of modules and records each file. One would expect that nobody
# watches what is loaded where nobody asks for coverage. A thread or a child with some hundred modules took
# 1.3 to 1.5 times as much CPU to start (seen with 50 to 900 modules on Node 24.21); tests that start many of
# them get slow, and tests of memory and start-up measure the hook as well.
# Output seen:
#   coverage     disabled
#   test process 1 hook of processinfo
#   thread       1 hook of processinfo
#   child        1 hook of processinfo
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts tap@21.8.0 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >.taprc <<'YAML'
plugin: ['!@tapjs/typescript', '!@tapjs/mock']
disable-coverage: true
allow-incomplete-coverage: true
YAML
cat >count-hooks.cjs <<'JS'
const module_ = require('node:module');
const original = module_.registerHooks;
let hooks = 0;
module_.registerHooks = (options) => {
  if (/processinfo/.test(new Error().stack)) hooks++;
  return original(options);
};
globalThis.hooksOfProcessinfo = () => hooks;
JS
cat >thread.mjs <<'JS'
import { parentPort } from 'node:worker_threads';
parentPort.postMessage(globalThis.hooksOfProcessinfo());
JS
cat >hooks.test.mjs <<'JS'
import { execFileSync } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import t from 'tap';
const say = 'globalThis.hooksOfProcessinfo()';
t.test('who is watched', async (t) => {
  const worker = new Worker(new URL('./thread.mjs', import.meta.url));
  const inThread = await new Promise((resolve) => worker.once('message', resolve));
  const inChild = execFileSync(process.execPath, ['-e', `console.log(${say})`], { encoding: 'utf8' }).trim();
  t.comment(`test process ${globalThis.hooksOfProcessinfo()} hook of processinfo`);
  t.comment(`thread       ${inThread} hook of processinfo`);
  t.comment(`child        ${inChild} hook of processinfo`);
});
JS
export PATH="$folder/node_modules/.bin:$PATH" NODE_OPTIONS="--require=$folder/count-hooks.cjs"
tap build >/dev/null 2>&1
tap run --reporter=tap hooks.test.mjs >seen.txt 2>&1 || true
found=$(grep -oE '(test process|thread +|child +) ?[0-9]+ hook of processinfo' seen.txt || true)
printf 'coverage     disabled\n%s\n' "$found"
[[ $(grep -c ' 1 hook' <<<"$found") -eq 3 ]] || { cat seen.txt; echo 'the behaviour has changed' >&2; exit 1; }
