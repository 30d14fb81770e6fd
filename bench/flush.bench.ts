/**
 * What one flush costs on this disk: write and fdatasync of one event's frame (192 bytes), the file
 * growing against room that was preallocated with zeros, as the log does it. One thread, one file;
 * the two take turns. It is the floor of a durable POST from a client that waits for each answer.
 *
 * Then the same with a pause before each, in which the clock of the file's times has ticked: a file
 * system without a journal has to write the inode, too, and one with a journal has not.
 */
import { closeSync, fdatasyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { frameBytes } from '../src/log/format.ts';
import { percentile } from './support/percentile.ts';
import { figure, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';

const BYTES = frameBytes(1);
const SIZES = {
  full: { count: 2000, paused: 400 },
  smoke: { count: 50, paused: 10 },
} as const;
/** Longer than a tick of the kernel's coarse clock, of which there are at least 250 a second. */
const PAUSE_MS = 5;

export interface FlushTimes {
  /** Microseconds of each flush, ascending. */
  readonly appendedUs: Float64Array;
  readonly preallocatedUs: Float64Array;
}

/** Flushes `count` frames of one event each way in `folder`, in turns. Blocks the thread. */
export function measureFlushes(folder: string, count: number): FlushTimes {
  const appended = openFile(join(folder, 'appended'), 0);
  const preallocated = openFile(join(folder, 'preallocated'), count * BYTES);
  const appendedUs = new Float64Array(count);
  const preallocatedUs = new Float64Array(count);
  const frame = Buffer.alloc(BYTES, 1);
  for (let i = 0; i < count; i++) {
    appendedUs[i] = flush(appended, frame, i);
    preallocatedUs[i] = flush(preallocated, frame, i);
  }
  for (const file of [appended, preallocated]) closeSync(file);
  for (const name of ['appended', 'preallocated']) verify(join(folder, name), count);
  return { appendedUs: appendedUs.sort(), preallocatedUs: preallocatedUs.sort() };
}

/** Microseconds of each of `count` flushes with PAUSE_MS before it, ascending. Blocks the thread. */
function measurePaused(folder: string, count: number): Float64Array {
  const file = openFile(join(folder, 'paused'), count * BYTES);
  const us = new Float64Array(count);
  const frame = Buffer.alloc(BYTES, 1);
  for (let i = 0; i < count; i++) {
    const untilMs = performance.now() + PAUSE_MS;
    // Busy: a core that slept would need its time to wake up.
    while (performance.now() < untilMs);
    us[i] = flush(file, frame, i);
  }
  closeSync(file);
  verify(join(folder, 'paused'), count);
  return us.sort();
}

/** Throws unless the file holds `count` frames as they were written. */
function verify(path: string, count: number): void {
  const bytes = readFileSync(path);
  const isWritten = bytes.length === count * BYTES && bytes.every((byte) => byte === 1);
  if (!isWritten) throw new Error(`${path}: not what was written`);
}

function openFile(path: string, zeros: number): number {
  const file = openSync(path, 'w+');
  writeSync(file, Buffer.alloc(zeros));
  fdatasyncSync(file);
  return file;
}

function flush(file: number, frame: Buffer, index: number): number {
  const startMs = performance.now();
  writeSync(file, frame, 0, BYTES, index * BYTES);
  fdatasyncSync(file);
  return (performance.now() - startMs) * 1000;
}

async function bench(size: BenchSize): Promise<Report> {
  const { count, paused } = SIZES[size];
  const { times, pausedUs } = await withScratchFolder(async (folder) => ({
    times: measureFlushes(folder, count),
    pausedUs: measurePaused(folder, paused),
  }));
  const row = (name: string, us: Float64Array) => [
    name,
    ...[50, 99, 99.9].map((percent) => figure(percentile(us, percent))),
  ];
  return {
    name: 'One flush',
    conditions: [
      `${figure(count)} frames of one event (${BYTES} bytes) each way, in turns; with pauses ${figure(paused)}`,
    ],
    tables: [
      {
        title: 'write + fdatasync, µs',
        columns: ['file', 'p50', 'p99', 'p99.9'],
        rows: [
          row('growing', times.appendedUs),
          row('preallocated, as the log is', times.preallocatedUs),
          row(`preallocated, after a busy pause of ${PAUSE_MS} ms`, pausedUs),
        ],
      },
    ],
    aims: [],
    notes: [],
  };
}

if (import.meta.main) await runBench(bench);
