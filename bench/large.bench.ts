/**
 * A catalogue that is larger than what the disk takes at once: loading, idle, stop, start, minutes of
 * sustained load, a kill in the middle of it, and the start after that.
 *
 *   this process ──NDJSON over TCP, at a given rate──▶ main.ts, a process of its own ──▶ DATA_DIR
 *         └── looks at DATA_DIR and the service's log every few seconds
 *
 * What each product must hold after any number of events is plain arithmetic (support/strided-load.ts);
 * samples are read over the wire after every start.
 *   node bench/large.bench.ts [products] [seconds] [events per second] [--smoke]
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { listParts } from '../src/checkpoint/part-files.ts';
import { listWindows } from '../src/checkpoint/reader.ts';
import { parseBytes } from '../src/config/quantity.ts';
import { NodeFileSystem } from '../src/log/file-system.ts';
import { SLOT_BYTES } from '../src/ring/slot.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { ServerProcess } from './support/server-process.ts';
import { idOf } from './support/strided-load.ts';
import { StridedUpload } from './support/strided-upload.ts';

const SAMPLES = 300;
const STARTS = 3;

interface Size {
  readonly products: number;
  readonly seconds: number;
  readonly eventsPerSecond: number;
  /** Events of one body. */
  readonly bodyEvents: number;
  readonly lookSeconds: number;
  readonly env: Readonly<Record<string, string>>;
}

const SIZES: Readonly<Record<BenchSize, Size>> = {
  full: {
    products: 20_000_000,
    seconds: 600,
    eventsPerSecond: 500_000,
    bodyEvents: 250_000,
    lookSeconds: 10,
    env: { MAX_MEMORY_USAGE: '4GB', LOG_RETENTION: '1MB' },
  },
  smoke: {
    products: 20_000,
    seconds: 2,
    eventsPerSecond: 50_000,
    bodyEvents: 10_000,
    lookSeconds: 0.5,
    env: { MAX_MEMORY_USAGE: '64MB', LOG_RETENTION: '0B', CHECKPOINT_EVERY: '1MB' },
  },
};

/** One look at the data folder. */
interface Look {
  readonly second: number;
  readonly events: number;
  readonly logBytes: number;
  readonly checkpointBytes: number;
  /** Log that a kill would leave to replay. */
  readonly replayBytes: number;
  /** Written by the service so far, as the system counts it. */
  readonly writtenBytes: number;
}

interface Start {
  readonly readyMs: number;
  readonly products: number;
  readonly events: number;
  readonly restoreMs: number;
}

function bytesIn(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    try {
      if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).size;
    } catch {
      // It went meanwhile.
    }
  }
  return bytes;
}

/** From which seq a start would replay. */
function replayFrom(dataDir: string): number {
  const files = new NodeFileSystem();
  const folder = join(dataDir, 'checkpoint');
  const newest = new Map<number, number>();
  let shards = Number.POSITIVE_INFINITY;
  for (const part of listParts(files, folder)) {
    shards = part.shards;
    if (!newest.has(part.shard)) newest.set(part.shard, part.replayFrom);
  }
  if (newest.size < shards) return 1;
  return Math.min(listWindows(files, folder)[0] ?? 1, ...newest.values());
}

function look(dataDir: string, pid: number, second: number, events: number): Look {
  const io = readFileSync(`/proc/${pid}/io`, 'utf8');
  return {
    second,
    events,
    logBytes: bytesIn(join(dataDir, 'log')),
    checkpointBytes: bytesIn(join(dataDir, 'checkpoint')),
    replayBytes: (events + 1 - replayFrom(dataDir)) * SLOT_BYTES,
    writtenBytes: Number(/^write_bytes: (\d+)/m.exec(io)?.[1]),
  };
}

async function start(dataDir: string, { env }: Size): Promise<[ServerProcess, Start]> {
  const startMs = performance.now();
  const server = await ServerProcess.start('src/main.ts', { PORT: '0', DATA_DIR: dataDir, ...env });
  const readyMs = performance.now() - startMs;
  const lines = server.output.split('\n').filter((line) => line.startsWith('{'));
  const replayed = lines.map((line) => JSON.parse(line)).find((line) => 'replayFrom' in line);
  const { products, events, durationMs } = replayed;
  return [server, { readyMs, products, events, restoreMs: durationMs }];
}

async function verify(server: ServerProcess, load: StridedUpload, size: Size, unknown: number) {
  for (let i = 0; i < SAMPLES; i++) {
    const product = Math.floor((i * size.products) / SAMPLES);
    const response = await fetch(`${server.url}/api/v1/products/${idOf(product)}`);
    const found = await response.text();
    const allowed = load.allowed(product, unknown);
    if (!allowed.includes(found))
      throw new Error(`found ${found}, expected ${allowed.join(' or ')}`);
  }
}

/** How long until nothing of the checkpoint is being written any more. */
async function settle(dataDir: string, every: number, events: number): Promise<number> {
  const startMs = performance.now();
  for (;;) {
    const isWriting = readdirSync(join(dataDir, 'checkpoint')).some((name) =>
      name.endsWith('.tmp'),
    );
    const behindBytes = (events + 1 - replayFrom(dataDir)) * SLOT_BYTES;
    if (!isWriting && behindBytes < every) return (performance.now() - startMs) / 1000;
    await setTimeout(50);
  }
}

async function measure(dataDir: string, size: Size) {
  const load = new StridedUpload(size.products);
  const every = parseBytes(size.env.CHECKPOINT_EVERY ?? '256MB') ?? 0;
  let [server] = await start(dataDir, size);
  const loadMs = performance.now();
  while (load.sent < 2 * size.products) {
    await load.send(server.url, Math.min(size.bodyEvents, 2 * size.products - load.sent));
  }
  const loadSeconds = (performance.now() - loadMs) / 1000;
  const loaded = look(dataDir, server.pid, loadSeconds, load.sent);
  const idleSeconds = await settle(dataDir, every, load.sent);
  const stopMs = performance.now();
  await server.stop();
  const stopSeconds = (performance.now() - stopMs) / 1000;
  const afterStop: Start[] = [];
  for (let i = 0; i < STARTS; i++) {
    const [next, started] = await start(dataDir, size);
    afterStop.push(started);
    await verify(next, load, size, 0);
    await next.kill();
  }

  [server] = await start(dataDir, size);
  const looks: Look[] = [];
  const from = load.sent;
  const startMs = performance.now();
  const seconds = () => (performance.now() - startMs) / 1000;
  while (seconds() < size.seconds) {
    const dueAt = (load.sent - from) / size.eventsPerSecond;
    if (dueAt > seconds()) await setTimeout((dueAt - seconds()) * 1000);
    await load.send(server.url, size.bodyEvents);
    if (seconds() >= looks.length * size.lookSeconds) {
      looks.push(look(dataDir, server.pid, seconds(), load.sent));
    }
  }
  const sustained = (load.sent - from) / seconds();
  // In the middle of a body, whose events are then unknown.
  const dying = load.send(server.url, size.bodyEvents).catch(() => undefined);
  await setTimeout((size.bodyEvents / size.eventsPerSecond) * 500);
  await server.kill();
  await dying;
  const [again, afterKill] = await start(dataDir, size);
  await verify(again, load, size, size.bodyEvents);
  await again.kill();
  return { loadSeconds, loaded, idleSeconds, stopSeconds, afterStop, looks, sustained, afterKill };
}

async function bench(size: BenchSize): Promise<Report> {
  const [products, seconds, rate] = process.argv
    .slice(2)
    .map(Number)
    .filter((n) => n > 0);
  const given = SIZES[size];
  const plan: Size = {
    ...given,
    products: products ?? given.products,
    seconds: seconds ?? given.seconds,
    eventsPerSecond: rate ?? given.eventsPerSecond,
  };
  const found = await withScratchFolder((folder) => measure(join(folder, 'data'), plan));
  const { loaded, looks, afterStop, afterKill } = found;
  const [first, last] = [looks[0], looks.at(-1)] as [Look, Look];
  const perEvent =
    (last.writtenBytes - first.writtenBytes) / Math.max(1, last.events - first.events);
  const readyMs = median(afterStop.map((one) => one.readyMs));
  const settled = looks.filter(({ second }) => second >= plan.seconds * 0.3);
  const early = settled.slice(0, Math.ceil(settled.length / 2));
  const late = settled.slice(Math.ceil(settled.length / 2));
  const worst = (some: readonly Look[], what: 'logBytes' | 'replayBytes') =>
    Math.max(0, ...some.map((one) => one[what]));
  return {
    name: 'A large catalogue',
    conditions: [
      `${figure(plan.products)} products, ${Object.entries(plan.env)
        .map((pair) => pair.join('='))
        .join(
          ', ',
        )}, defaults else; bodies of ${figure(plan.bodyEvents)} events as NDJSON, one after the other; files in the page cache`,
      `${figure(plan.eventsPerSecond)} events/s asked for over ${plan.seconds} s, ${figure(found.sustained)} taken`,
    ],
    tables: [
      {
        title: 'Starts and stops',
        columns: ['what', 'figure'],
        rows: [
          ['load of two events for each product, s', figure(found.loadSeconds)],
          ['log that a kill would have left to replay then, bytes', figure(loaded.replayBytes)],
          ['from then until nothing of the checkpoint is due, s', figure(found.idleSeconds)],
          ['clean stop, s', figure(found.stopSeconds)],
          ['start after it (median), ms until ready', figure(readyMs)],
          ['of that checkpoint and log, ms', figure(median(afterStop.map((s) => s.restoreMs)))],
          ['events replayed', figure(afterStop[0]?.events ?? 0)],
          ['start after a kill under load, ms until ready', figure(afterKill.readyMs)],
          ['events replayed', figure(afterKill.events)],
          ['bytes written for each event, checkpoints and log', figure(perEvent)],
        ],
      },
      {
        title: 'Sustained load',
        columns: ['second', 'events', 'log, bytes', 'checkpoint, bytes', 'to replay, bytes'],
        rows: looks.map((one) => [
          figure(one.second),
          figure(one.events),
          figure(one.logBytes),
          figure(one.checkpointBytes),
          figure(one.replayBytes),
        ]),
      },
    ],
    aims: [
      {
        what: 'start after a kill under load, of a start after a clean stop',
        measured: afterKill.readyMs / readyMs,
        wanted: 3,
        better: 'lower',
        unit: '',
      },
      {
        what: 'most log to replay in the last third, of the most before that',
        measured: worst(late, 'replayBytes') / Math.max(1, worst(early, 'replayBytes')),
        wanted: 1.2,
        better: 'lower',
        unit: '',
      },
      {
        what: 'idle after the load until nothing is due',
        measured: found.idleSeconds,
        wanted: 20,
        better: 'lower',
        unit: 's',
      },
    ],
    notes: [
      `After each start ${SAMPLES} products were read over the wire: each had the state that the acknowledged events lead to.`,
    ],
  };
}

await runBench(bench);
