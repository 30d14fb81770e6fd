/**
 * Runs every bench in a process of its own, one after the other, and writes bench/RESULTS.md.
 *
 *   this process ──fork──▶ flush · bursts · core · store · start ·
 *                │          checkpoint · recovery · meanwhile · large · export · http · single ·
 *                │          threads · changes · parser · bulk · import · fairness · metrics · status ·
 *                │          guarded · slow-clients · sinks · history · churn · soak ──IPC──▶ reports
 *                └─fork──▶ load-test, perf-test, with --smoke only, on a service started for them
 *
 * With `--smoke` everything runs in small, two at a time, for no figure is held to its aim and nothing is written. Exit
 * code 1 if a bench fails or finds its result wrong; never because something was slow.
 */
import { Buffer } from 'node:buffer';
import { fork, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { conditions } from './support/conditions.ts';
import { aimTable, formatReport, formatTable, type Report } from './support/report.ts';
import { exitOnSignals } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { START_ENV } from './support/start-env.ts';

const BENCHES = [
  'flush.bench.ts',
  'bursts.bench.ts',
  'core.bench.ts',
  'store.bench.ts',
  'start.bench.ts',
  'checkpoint.bench.ts',
  'recovery.bench.ts',
  'meanwhile.bench.ts',
  'large.bench.ts',
  'export.bench.ts',
  'http.bench.ts',
  'single.bench.ts',
  'threads.bench.ts',
  'changes.bench.ts',
  'parser.bench.ts',
  'bulk.bench.ts',
  'import.bench.ts',
  'fairness.bench.ts',
  'metrics.bench.ts',
  'status.bench.ts',
  'guarded.bench.ts',
  'slow-clients.bench.ts',
  'sinks.bench.ts',
  'history.bench.ts',
  'churn.bench.ts',
  'cluster.bench.ts',
  'soak.bench.ts',
];
const CLIENTS = ['load-test.ts', 'perf-test.ts'];
const BENCH_MS_MAX = 40 * 60_000;
const REST_MS = 20_000;
const SMOKE_LANES = 2;
/** What every bench is started with. */
const ENV = { ...START_ENV, ...process.env };
const RESULTS = fileURLToPath(new URL('RESULTS.md', import.meta.url));

/**
 * Runs one module of this folder; returns its report, if it sent one. Throws if it fails. What it prints comes at once,
 * or whole at its end where others run beside it.
 */
async function run(
  module: string,
  args: readonly string[],
  isBesideOthers = false,
): Promise<Report | undefined> {
  const path = fileURLToPath(new URL(module, import.meta.url));
  const child = fork(path, args, { timeout: BENCH_MS_MAX, env: ENV, silent: isBesideOthers });
  const printed: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (chunk: Buffer) => printed.push(chunk));
  }
  const kill = () => void child.kill('SIGTERM');
  process.once('exit', kill);
  let report: Report | undefined;
  child.on('message', (message) => {
    report = message as Report;
  });
  const [code, signal] = await once(child, 'close');
  process.off('exit', kill);
  process.stdout.write(Buffer.concat(printed));
  if (code !== 0) throw new Error(`bench/${module} ended with ${code ?? signal}`);
  return report;
}

/**
 * Brings the machine to rest: what one bench has left to be written would slow the next one, and a
 * virtual machine's processors may get slower the longer they are under load.
 */
async function rest(): Promise<void> {
  spawnSync('sync');
  await setTimeout(REST_MS);
}

async function runReported(
  module: string,
  args: readonly string[] = [],
  isBesideOthers = false,
): Promise<Report> {
  const report = await run(module, args, isBesideOthers);
  if (report === undefined) throw new Error(`bench/${module} sent no report`);
  return report;
}

async function runSmoke(): Promise<void> {
  const waiting = [...BENCHES];
  const lane = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      await runReported(next, ['--smoke'], true);
    }
  };
  await Promise.all(Array.from({ length: SMOKE_LANES }, lane));
  await runClients();
}

async function runClients(): Promise<void> {
  await withScratchFolder(async (folder) => {
    const env = { PORT: '0', DATA_DIR: join(folder, 'data') };
    const server = await ServerProcess.start('src/main.ts', env);
    for (const module of CLIENTS) await run(module, ['--smoke', server.url]);
    await server.stop();
  });
}

function results(before: ReturnType<typeof conditions>, reports: readonly Report[]): string {
  const aims = reports.flatMap((report) => report.aims);
  return [
    '# Results',
    'Written by `npm run bench` (bench/run-all.ts); do not edit. Ratios compare what ran in turns ' +
      'in one run on one machine; absolute figures are of this machine only, which rests for ' +
      `${REST_MS / 1000} s before each bench.`,
    formatTable({
      title: '',
      columns: ['condition', 'value'],
      rows: before.map((one) => [...one]),
    }),
    formatTable(aimTable('', aims)),
    ...reports.map((report) => formatReport(report).trimEnd()),
    '',
  ].join('\n\n');
}

exitOnSignals();
const isSmoke = process.argv.includes('--smoke');
const before = conditions(ENV);
for (const [name, text] of before) console.log(`${name.padEnd(12)} ${text}`);
console.log();
if (isSmoke) {
  await runSmoke();
  console.log('smoke: every bench ran and its result was right; the figures mean nothing');
} else {
  const reports: Report[] = [];
  for (const module of BENCHES) {
    await rest();
    reports.push(await runReported(module));
  }
  writeFileSync(RESULTS, `${results(before, reports).trimEnd()}\n`);
  console.log(`written: ${RESULTS}`);
}
