/** The file log keeps the contract, on the machine's disk. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { NodeFileSystem } from '../../../src/log/file-system.ts';
import { tempDir } from '../../helpers/disks/temp-dir.ts';
import { fileLogUnderTest } from './file-log.ts';
import { logContract } from './log-contract.ts';

logContract('file log', (t) => {
  const folder = join(tempDir(t), 'log');
  mkdirSync(folder);
  return fileLogUnderTest({ files: new NodeFileSystem(), folder });
});
