/** A thread that stores the log's progress as fast as it can, each field the same number. Tests only. */
import { workerData } from 'node:worker_threads';
import { LogProgress, OWN_DOUBLES, type Progress } from '../../src/ring/progress.ts';

export interface StoringProgressData {
  readonly progress: SharedArrayBuffer;
  /** Not 0: it ends. */
  readonly stop: Int32Array;
}

/** Producers beside the main thread, whose tails fill the lines behind a record to their end. */
export const FURTHER = 4;

/** A record of the number `n`. */
export function progressOf(n: number): Progress {
  return {
    nextSeq: n,
    commitHead: n,
    liveTail: n,
    bulkTail: n,
    own: new Float64Array(OWN_DOUBLES).fill(n),
    furtherTails: new Float64Array(2 * FURTHER).fill(n),
  };
}

function run({ progress, stop }: StoringProgressData): void {
  const log = new LogProgress(progress);
  for (let n = 1; Atomics.load(stop, 0) === 0; n++) log.store(progressOf(n));
}

if (workerData?.stop !== undefined) run(workerData as StoringProgressData);
