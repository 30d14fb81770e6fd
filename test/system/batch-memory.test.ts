/**
 * A stream of any length needs no more memory than a short one: 200 MB here, BATCH_MB=1000 for a
 * gigabyte.
 */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { lines, openBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { tried } from '../helpers/tries.ts';

const MB = 1024 * 1024;
const WARM_UP_MB = 100;
const STREAM_MB = Number(process.env.BATCH_MB ?? 200);
/** For the garbage collector's moods; half of the stream, held, would be beyond it. */
const GROWTH_MB_MAX = 64;
const PRODUCTS = 1000;
const STREAM_MS_MAX = 600_000;

const service = await ServiceProcess.start(t, {
  cwd: tempDir(t),
  env: { MAX_MEMORY_USAGE: '16MB', LOG_RETENTION: '0B', CHECKPOINT_EVERY: '64MB' },
});
const port = await service.ready();

/** The most memory that the process ever had in use, in MB. */
function peakMb(): number {
  const status = readFileSync(`/proc/${service.pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}

/** Sends so much, as fast as it is taken; returns how many events that was. */
async function stream(megabytes: number): Promise<number> {
  const { call, answered } = openBatch(port, {
    query: '?on_error=continue',
    waitMs: STREAM_MS_MAX,
  });
  const block = Buffer.from(lines(PRODUCTS).repeat(20));
  const blocks = Math.ceil((megabytes * MB) / block.length);
  for (let i = 0; i < blocks; i++) {
    if (call.write(block)) continue;
    await new Promise<void>((resolve) => call.once('drain', resolve));
  }
  call.end();
  const { status, body } = await answered;
  t.equal(status, 202);
  t.equal(body.accepted, blocks * 20 * PRODUCTS);
  return body.accepted;
}

t.test(`the memory stays flat over ${STREAM_MB} MB`, { timeout: 2 * STREAM_MS_MAX }, async (t) => {
  await stream(WARM_UP_MB);
  // What the length of a stream costs, each of them costs; a mood comes once.
  await tried(async () => {
    const before = peakMb();
    const events = await stream(STREAM_MB);
    const growth = peakMb() - before;
    t.comment(`${events} events; ${before.toFixed()} MB before, ${growth.toFixed()} MB more after`);
    return growth < GROWTH_MB_MAX;
  }, `less than ${GROWTH_MB_MAX} MB more`);
});
