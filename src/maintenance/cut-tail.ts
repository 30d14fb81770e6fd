/** The end of a segment that was copied while it was written to. Main thread of a tool, or of a start. */
import { join } from 'node:path';
import type { NodeFileSystem } from '../log/file-system.ts';
import { segmentName } from '../log/format.ts';
import { scanSegment } from './segment-scan.ts';

/**
 * Cuts the copied last segment behind its last whole frame. False if a whole frame follows one that
 * is not: then it was read while it was written, or is damaged.
 */
export function cutTail(files: NodeFileSystem, folder: string, firstSeq: number): boolean {
  const scan = scanSegment(files, folder, firstSeq, () => undefined);
  if (scan === undefined || scan.faults.length > 0) return false;
  const file = files.open(join(folder, segmentName(firstSeq)));
  try {
    files.truncate(file, scan.walk.endBytes);
    files.syncData(file);
  } finally {
    files.close(file);
  }
  return true;
}
