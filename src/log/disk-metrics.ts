/** What the data folder takes of the disk, and what is left there. Main thread. */
import { statfs } from 'node:fs/promises';
import { within } from '../deadline.ts';
import type { MetricsRegistry } from '../metrics/registry.ts';
import type { DataDir } from './data-dir.ts';
import { FolderSizes } from './folder-sizes.ts';
import { parseSegmentName } from './format.ts';
import { heldPath } from './held-files.ts';

const WAIT_MS_MAX = 200;

export function diskMetrics(metrics: MetricsRegistry, dataDir: DataDir): void {
  const { held, logFolder, checkpointFolder } = dataDir;
  const isSegment = (name: string) => parseSegmentName(name) !== undefined;
  const log = new FolderSizes(() => heldPath(held, logFolder), isSegment);
  const checkpoints = new FolderSizes(() => heldPath(held, checkpointFolder));
  metrics.gauge(
    { name: 'product_service_log_bytes', help: 'Size of the segments of the log on disk' },
    async (put) => put((await log.look()).bytes),
  );
  metrics.gauge(
    { name: 'product_service_log_segments', help: 'Segments of the log on disk' },
    async (put) => put((await log.look()).files),
  );
  metrics.gauge(
    { name: 'product_service_checkpoint_bytes', help: 'Size of all parts of checkpoints on disk' },
    async (put) => put((await checkpoints.look()).bytes),
  );
  metrics.gauge(
    {
      name: 'product_service_disk_free_bytes',
      help: 'Free space of the file system that the log is on; none while it does not answer',
    },
    async (put) => {
      const free = await within(WAIT_MS_MAX, freeBytes(heldPath(held, logFolder)));
      if (typeof free === 'number') put(free);
    },
  );
}

async function freeBytes(folder: string): Promise<number | undefined> {
  const space = await statfs(folder).catch(() => undefined);
  return space === undefined ? undefined : space.bavail * space.bsize;
}
