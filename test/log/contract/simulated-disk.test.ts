/** The file log keeps the contract on the simulated disk, which test/durability lets fail. */
import type { HistoryFiles } from '../../../src/log/file-history.ts';
import { SimulatedDisk } from '../../durability/simulated-disk.ts';
import { fileLogUnderTest } from './file-log.ts';
import { logContract } from './log-contract.ts';

const FOLDER = '/data/log';

function historyFiles(disk: SimulatedDisk): HistoryFiles {
  return {
    list: async (folder) => disk.list(folder),
    open: async (path) => {
      const file = disk.openForReading(path);
      return {
        read: async (...args) => ({ bytesRead: disk.read(file, ...args) }),
        close: async () => disk.close(file),
      };
    },
  };
}

logContract('file log on the simulated disk', () => {
  const disk = new SimulatedDisk();
  disk.makeFolder(FOLDER);
  return fileLogUnderTest({ files: disk, historyFiles: historyFiles(disk), folder: FOLDER });
});
