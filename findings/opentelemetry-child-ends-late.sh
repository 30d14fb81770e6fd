#!/usr/bin/env bash
# @opentelemetry/sdk-trace 3.1.1 (Node 24.21.0): a span that is begun and ended within its parent is exported with an end that lies
# behind the parent's. Each span reads the time of day when it begins, in whole milliseconds (Date.now()), and measures only its
# length with the finer clock, so that two spans of one thread may be a millisecond apart in either way: in most
# tries where the child begins just behind a whole millisecond. One would expect one clock for the spans of a process, as
# nanoseconds in the export suggest. A span that is given its startTime, and no endTime, ends at whole milliseconds as well.
# (What helps: times of one's own for the children, all counted from the parent's startTime.)
# Output seen:
#   ended within its parent: 200 of 200
#   exported as if it ended later: some
#   with times counted from the parent's: 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf -- "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @opentelemetry/sdk-trace@3.1.1 @opentelemetry/api@1.10.0 node@24.21.0 >/dev/null
npm rebuild --silent node >/dev/null
cat >run.mjs <<'JS'
import { ROOT_CONTEXT, trace } from '@opentelemetry/api';
import { InMemorySpanExporter, SimpleSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';

const exporter = new InMemorySpanExporter();
const provider = new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] });
const tracer = provider.getTracer('example');
const busyUntil = (isOver) => {
  while (!isOver());
};
const nanoseconds = ([seconds, rest]) => BigInt(seconds) * 1_000_000_000n + BigInt(rest);

const TRIES = 200;
let within = 0;
let late = 0;
let lateByOwn = 0;
for (let i = 0; i < TRIES; i++) {
  for (const hasOwnTimes of [false, true]) {
    // The parent begins somewhere within a millisecond, the child at the beginning of the next one.
    const from = performance.now();
    busyUntil(() => performance.now() - from > 0.3);
    const parent = tracer.startSpan('parent');
    const [seconds, rest] = parent.startTime;
    const offset = seconds * 1000 + rest / 1e6 - performance.now();
    const at = () => (hasOwnTimes ? offset + performance.now() : undefined);
    const context = trace.setSpan(ROOT_CONTEXT, parent);
    const before = Date.now();
    busyUntil(() => Date.now() > before);
    const child = tracer.startSpan('child', { startTime: at() }, context);
    child.end(at());
    const ended = performance.now();
    busyUntil(() => performance.now() - ended > 0.02);
    parent.end();
    if (!hasOwnTimes) within++;
    if (nanoseconds(child.endTime) > nanoseconds(parent.endTime)) {
      if (hasOwnTimes) lateByOwn++;
      else late++;
    }
  }
}
console.log(`ended within its parent: ${within} of ${TRIES}`);
console.log(`exported as if it ended later: ${late > 0 ? 'some' : 'none'}`);
console.log(`with times counted from the parent's: ${lateByOwn}`);
console.error(`(${late} of ${TRIES})`);
JS
node_modules/.bin/node run.mjs | tee seen.txt
diff - seen.txt <<'TEXT' >/dev/null || { echo 'the behaviour has changed' >&2; exit 1; }
ended within its parent: 200 of 200
exported as if it ended later: some
with times counted from the parent's: 0
TEXT
