/**
 * The write path without HTTP: how many events a second get through it, durable and applied.
 *
 *   this thread          log thread            2 appliers (Piscina)
 *   events ─offer─▶ intake ring ─▶ fdatasync ─▶ commit ring ─▶ shards
 *
 * The producer is the real RingIntake. At the end of each round every product is compared with a
 * plain Map that got the same events, and the log is read back and counted.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { NodeFileSystem } from '../src/log/file-system.ts';
import { readLog } from '../src/log/segment-reader.ts';
import {
  createEventStream,
  type EventStream,
  expectedState,
  productIds,
  repeatStream,
  verifyStore,
} from './support/event-stream.ts';
import { figure, median, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { mainThreadCpuMs, processCpuMs } from './support/thread-times.ts';
import { BenchPath } from './support/write-path.ts';

const SEED = 20_260_101;
const APPLIERS = 2;
const QUEUE_SIZE = 32_768;
const STORE_BYTES = 64 * 2 ** 20;
const EVENTS_PER_SECOND_WANTED = 1_500_000;

const SIZES = {
  full: { rounds: 5, events: 6_000_000, prepared: 1_000_000, products: 200_000 },
  smoke: { rounds: 1, events: 200_000, prepared: 100_000, products: 20_000 },
} as const;

interface Round {
  readonly eventsPerSecond: number;
  readonly flushesPerSecond: number;
  readonly eventsPerFlush: number;
  readonly diskBytesPerEvent: number;
  readonly cpuUsPerEvent: number;
  readonly producerCpuUsPerEvent: number;
}

async function runRound(folder: string, round: number, size: BenchSize): Promise<Round> {
  const { events } = SIZES[size];
  const options = { appliers: APPLIERS, queueSize: QUEUE_SIZE, storeBytes: STORE_BYTES };
  const path = await BenchPath.start({ folder, ...options });
  try {
    const stream = streamOf(round, size);
    const cpuBefore = processCpuMs(process.pid);
    const producerBefore = mainThreadCpuMs(process.pid);
    const startMs = performance.now();
    await path.send(stream, events);
    await path.finish();
    const seconds = (performance.now() - startMs) / 1000;
    const cpuMs = processCpuMs(process.pid) - cpuBefore;
    const producerMs = mainThreadCpuMs(process.pid) - producerBefore;

    verifyStore(path.store, expectedState(streamOf(round, size), events));
    const { frames, bytes } = readBack(path.logFolder, events);
    return {
      eventsPerSecond: events / seconds,
      flushesPerSecond: frames / seconds,
      eventsPerFlush: events / frames,
      diskBytesPerEvent: bytes / events,
      cpuUsPerEvent: (cpuMs * 1000) / events,
      producerCpuUsPerEvent: (producerMs * 1000) / events,
    };
  } finally {
    await path.dispose();
  }
}

function streamOf(round: number, size: BenchSize): EventStream {
  const { prepared, products } = SIZES[size];
  return repeatStream(createEventStream(SEED + round, productIds(products)), prepared);
}

/** Counts the log's frames, one flush each, and its bytes. Throws unless it holds all events. */
function readBack(folder: string, events: number): { frames: number; bytes: number } {
  let frames = 0;
  const end = readLog(new NodeFileSystem(), folder, 1, () => frames++);
  if (end.nextSeq !== events + 1 || end.tornTail !== undefined) {
    throw new Error(`the log ends before seq ${end.nextSeq}, expected ${events + 1}`);
  }
  const sizes = readdirSync(folder).map((name) => statSync(join(folder, name)).size);
  return { frames, bytes: sizes.reduce((sum, size) => sum + size, 0) };
}

async function bench(size: BenchSize): Promise<Report> {
  const { rounds: count, events, prepared, products } = SIZES[size];
  const rounds: Round[] = [];
  await withScratchFolder(async (scratch) => {
    for (let round = 0; round < count; round++) {
      const folder = join(scratch, String(round));
      mkdirSync(folder);
      rounds.push(await runRound(folder, round, size));
      // Logs that nobody needs any more would take up the page cache.
      rmSync(folder, { recursive: true });
    }
  });
  const eventsPerSecond = median(rounds.map((round) => round.eventsPerSecond));
  return {
    name: 'Core path without HTTP',
    conditions: [
      `${count} rounds of ${figure(events)} events over ${figure(products)} products, each with a fresh store and log; ${figure(prepared)} of them differ and were parsed from JSON before the clock ran; JIT warm-up, the first insert of each product and the last flush included`,
      `QUEUE_SIZE ${QUEUE_SIZE}, ${APPLIERS} appliers, fdatasync for each batch, seed ${SEED}`,
    ],
    tables: [
      {
        title: 'Rounds',
        columns: [
          'round',
          'events/s',
          'flushes/s',
          'events per flush',
          'disk bytes per event',
          'CPU µs per event',
          'of these the producer',
        ],
        rows: rounds.map((round, i) => [
          String(i + 1),
          figure(round.eventsPerSecond),
          figure(round.flushesPerSecond),
          figure(round.eventsPerFlush),
          figure(round.diskBytesPerEvent),
          figure(round.cpuUsPerEvent),
          figure(round.producerCpuUsPerEvent),
        ]),
      },
    ],
    aims: [
      {
        what: 'core path, median round',
        measured: eventsPerSecond,
        wanted: EVENTS_PER_SECOND_WANTED,
        better: 'higher',
        unit: 'events/s',
      },
    ],
    notes: ['State of every product and the length of the log were checked in each round.'],
  };
}

await runBench(bench);
