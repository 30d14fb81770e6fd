/**
 * A start: how fast the service replays its log.
 *
 *   write path ─▶ log in large frames ─▶ the service starts on it, in this process, until ready
 *                 └─ the same events, a frame each ─▶ the service starts on that too
 *
 * After each start every product is compared with a plain Map that got the same events. No
 * checkpoint is there to help: all of the log is read, checked and applied.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { loadConfig } from '../src/config/load.ts';
import type { FullEvent } from '../src/event/product-event.ts';
import { Service } from '../src/service.ts';
import {
  createEventStream,
  expectedState,
  productIds,
  repeatStream,
  verifyStore,
} from './support/event-stream.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { writeSingleFrames } from './support/single-frames.ts';
import { BenchPath, SEGMENT_BYTES_MAX } from './support/write-path.ts';

const SEED = 1_000_003;
const QUEUE_SIZE = 32_768;
const STORE_BYTES = 64 * 2 ** 20;
const EVENTS_PER_SECOND_WANTED = 1_000_000;

const SIZES = {
  full: { rounds: 3, events: 2_000_000, products: 200_000 },
  smoke: { rounds: 1, events: 50_000, products: 5_000 },
} as const;

interface Start {
  /** From the call to `ready`: threads, memory, replay, listening. */
  readonly readyMs: number;
  /** Of that the replay, as the service itself logs it. */
  readonly replayMs: number;
}

async function writeLog(folder: string, round: number, size: BenchSize): Promise<string> {
  const { events } = SIZES[size];
  const options = { folder, appliers: 2, queueSize: QUEUE_SIZE, storeBytes: STORE_BYTES };
  const path = await BenchPath.start(options);
  try {
    await path.send(streamOf(round, size), events);
    await path.finish();
  } finally {
    await path.dispose();
  }
  return path.logFolder;
}

function streamOf(round: number, size: BenchSize) {
  const { events, products } = SIZES[size];
  return repeatStream(createEventStream(SEED + round, productIds(products)), events / 2);
}

async function startService(
  dataDir: string,
  expected: ReadonlyMap<string, FullEvent>,
  events: number,
): Promise<Start> {
  let replayMs = 0;
  let replayed = 0;
  const write = (line: string) => {
    const { events: count, durationMs } = JSON.parse(line);
    if (count === undefined || durationMs === undefined) return;
    replayed = count;
    replayMs = durationMs;
  };
  const config = loadConfig({ PORT: '0', DATA_DIR: dataDir });
  const startMs = performance.now();
  const service = await Service.start({ config, logger: pino({ level: 'info' }, { write }) });
  try {
    await service.ready();
    const readyMs = performance.now() - startMs;
    if (replayed !== events) throw new Error(`${replayed} events replayed, expected ${events}`);
    verifyStore(service.path.store, expected);
    return { readyMs, replayMs };
  } finally {
    await service.stop();
  }
}

async function bench(size: BenchSize): Promise<Report> {
  const { rounds, events, products } = SIZES[size];
  const batched: Start[] = [];
  const single: Start[] = [];
  for (let round = 0; round < rounds; round++) {
    await withScratchFolder(async (folder) => {
      const batchedDir = join(folder, 'batched');
      const singleLog = join(folder, 'single', 'log');
      mkdirSync(singleLog, { recursive: true });
      const log = await writeLog(batchedDir, round, size);
      const copied = writeSingleFrames(log, singleLog, SEGMENT_BYTES_MAX);
      if (copied !== events) throw new Error(`${copied} events copied, expected ${events}`);
      const expected = expectedState(streamOf(round, size), events);
      batched.push(await startService(batchedDir, expected, events));
      single.push(await startService(join(folder, 'single'), expected, events));
    });
  }
  const perSecond = (starts: readonly Start[], time: keyof Start) =>
    median(starts.map((start) => (events * 1000) / start[time]));
  const row = (name: string, starts: readonly Start[]) => [
    name,
    figure(perSecond(starts, 'replayMs')),
    figure(perSecond(starts, 'readyMs')),
    figure(median(starts.map((start) => start.readyMs))),
  ];
  const aim = (what: string, starts: readonly Start[]) =>
    ({
      what,
      measured: perSecond(starts, 'replayMs'),
      wanted: EVENTS_PER_SECOND_WANTED,
      better: 'higher',
      unit: 'events/s',
    }) as const;
  return {
    name: 'Start: replay of the log',
    conditions: [
      `${rounds} rounds of ${figure(events)} events over ${figure(products)} products, medians; the service with its defaults (3 workers, 1GB), no checkpoint, files in the page cache, seed ${SEED}`,
    ],
    tables: [
      {
        title: 'Starts',
        columns: ['log', 'replayed events/s', 'events/s until ready', 'ms until ready'],
        rows: [row('as a full queue writes it', batched), row('one event in each frame', single)],
      },
    ],
    aims: [
      aim('replay, log of a full queue', batched),
      aim('replay, one event in each frame', single),
    ],
    notes: ['After each start the number of events and the state of every product were checked.'],
  };
}

await runBench(bench);
