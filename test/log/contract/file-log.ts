/** The file log, for the contract: on any disk. Tests only. */
import { FileHistory, type HistoryFiles } from '../../../src/log/file-history.ts';
import type { FileSystem } from '../../../src/log/file-system.ts';
import { KeptSegments } from '../../../src/log/kept-segments.ts';
import { readLog } from '../../../src/log/segment-reader.ts';
import { type LogTail, Sequencer } from '../../../src/log/sequencer.ts';
import type { Progress } from '../../../src/ring/progress.ts';
import { takeOver } from '../../../src/write-path/log-thread.ts';
import { type LogMemory, type LogUnderTest, NOW_MS, type OpenedLog } from './log-contract.ts';

/** A few frames each. */
const SEGMENT_BYTES_MAX = 4096;

export interface FileLogPlace {
  readonly files: FileSystem;
  readonly historyFiles?: HistoryFiles;
  readonly folder: string;
}

export function fileLogUnderTest(place: FileLogPlace): LogUnderTest {
  const { files, historyFiles, folder } = place;
  const opened = (memory: LogMemory, tailOf: Parameters<typeof openSequencer>[2]): OpenedLog => ({
    log: openSequencer(memory, place, tailOf),
    history: new FileHistory({
      folder,
      progress: memory.progress,
      ...(historyFiles === undefined ? {} : { files: historyFiles }),
    }),
    kept: new KeptSegments(files, folder),
  });
  return {
    open: (memory, from) =>
      opened(memory, () => ({
        ...readLog(files, folder, from, () => undefined),
        fresh: false,
      })),
    takeOver: (memory) =>
      opened(memory, (commits) => takeOver(memory, commits, memory.progress.load() as Progress)),
  };
}

function openSequencer(
  memory: LogMemory,
  { files, folder }: FileLogPlace,
  tailOf: (commits: ReturnType<LogMemory['publisher']>) => LogTail,
): Sequencer {
  const { intakes, dedupe, receipts, progress } = memory;
  const commits = memory.publisher();
  const tail = tailOf(commits);
  return new Sequencer(
    {
      intakes,
      dedupe,
      receipts,
      commits,
      progress,
      files,
      folder,
      segmentBytesMax: SEGMENT_BYTES_MAX,
      nowMs: () => NOW_MS,
      onStorage: (isAvailable, reason) => {
        if (!isAvailable) throw new Error(`storage: ${reason}`);
      },
    },
    tail,
  );
}
