/**
 * What durability costs on disk, by how many events share a flush.
 *
 *   this thread: a burst of n events, wait until it is durable, the next burst …
 *     ─▶ intake ring ─▶ log thread: frame, fdatasync ─▶ appliers
 *
 * A burst mostly becomes one flush; the log thread may begin before all of it is offered, so the
 * log is read back and its frames counted. At the end of each run every product is compared.
 */
import { join } from 'node:path';
import { NodeFileSystem } from '../src/log/file-system.ts';
import { FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES } from '../src/log/format.ts';
import { listSegments } from '../src/log/segment-headers.ts';
import { readLog } from '../src/log/segment-reader.ts';
import { SLOT_BYTES } from '../src/ring/slot.ts';
import { CatalogueStream } from './support/catalogue-stream.ts';
import { figure, type Report } from './support/report.ts';
import { type BenchSize, runBench } from './support/run-bench.ts';
import { withScratchFolder } from './support/scratch-folder.ts';
import { BenchPath } from './support/write-path.ts';

const SEED = 20_260_618;
const PRODUCTS = 1000;
const QUEUE_SIZE = 32_768;
const STORE_BYTES = 16 * 2 ** 20;
/** What a disk is written in; the kernel's own count (write_bytes) takes whole folios on ext4. */
const PAGE_BYTES = 4096;
const BURSTS = [1, 8, 64, 512, 4096, 16_384] as const;
const COUNTS = { full: 1000, smoke: 20 } as const;

interface Frames {
  readonly events: number;
  readonly flushes: number;
  readonly bytes: number;
  /** Bytes of the pages that the flushes had to write: a page that two of them share counts twice. */
  readonly pageBytes: number;
}

interface Run extends Frames {
  readonly burst: number;
  readonly seconds: number;
}

async function run(folder: string, burst: number, count: number): Promise<Run> {
  const options = { appliers: 2, queueSize: QUEUE_SIZE, storeBytes: STORE_BYTES };
  const path = await BenchPath.start({ folder: join(folder, String(burst)), ...options });
  try {
    const stream = new CatalogueStream(SEED, PRODUCTS);
    const startMs = performance.now();
    for (let i = 0; i < count; i++) await path.send(stream, burst);
    const seconds = (performance.now() - startMs) / 1000;
    // The log is sealed and every product there, however small the bursts were.
    const missing = Math.max(1, PRODUCTS - stream.sent);
    const measured = stream.sent;
    await path.send(stream, missing);
    await path.finish();
    stream.verify(path.store);
    return { burst, seconds, ...readBack(path.logFolder, measured, stream.sent) };
  } finally {
    await path.dispose();
  }
}

/** Counts the frames of the first `events` events. Throws unless the log holds `sent`. */
function readBack(folder: string, events: number, sent: number): Frames {
  const files = new NodeFileSystem();
  const segments = new Set(listSegments(files, folder));
  let flushes = 0;
  let bytes = 0;
  let pages = 0;
  let at = 0;
  const end = readLog(files, folder, 1, (_slots, _first, frame) => {
    if (segments.has(frame.firstSeq)) at = SEGMENT_HEADER_BYTES;
    if (frame.firstSeq <= events) {
      flushes++;
      bytes += frame.bytes;
      pages += Math.ceil((at + frame.bytes) / PAGE_BYTES) - Math.floor(at / PAGE_BYTES);
    }
    at += frame.bytes;
  });
  if (end.nextSeq !== sent + 1 || end.tornTail !== undefined) {
    throw new Error(`the log ends before seq ${end.nextSeq}, expected ${sent + 1}`);
  }
  return { events, flushes, bytes, pageBytes: pages * PAGE_BYTES };
}

async function bench(size: BenchSize): Promise<Report> {
  const count = COUNTS[size];
  const runs: Run[] = [];
  await withScratchFolder(async (folder) => {
    for (const burst of BURSTS) runs.push(await run(folder, burst, count));
  });
  return {
    name: 'Flushes and bytes on disk',
    conditions: [
      `${figure(count)} bursts of each size, one after the other, each durable before the next; one run each, the start of the log thread's JIT included, seed ${SEED}`,
      `an event in the log has ${SLOT_BYTES} bytes, a flush adds ${FRAME_HEADER_BYTES}; page bytes are the 4 KiB pages that the flushes have to write`,
    ],
    tables: [
      {
        title: 'By events in a burst',
        columns: [
          'burst',
          'events per flush',
          'flushes/s',
          'durable events/s',
          'log bytes per event',
          'page bytes per event',
        ],
        rows: runs.map(({ burst, events, flushes, bytes, pageBytes, seconds }) => [
          String(burst),
          figure(events / flushes),
          figure(flushes / seconds),
          figure(events / seconds),
          figure(bytes / events),
          figure(pageBytes / events),
        ]),
      },
    ],
    aims: [],
    notes: [
      'The zeros of the preallocation come on top, at most as many bytes as the log has, and so do checkpoints: 128 bytes for each product that there is, for every CHECKPOINT_EVERY of log.',
      'The log was read back, and every product compared, in each run.',
    ],
  };
}

await runBench(bench);
