/** The replicated log keeps the contract, on a stream that makes no trouble. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../../helpers/disks/temp-dir.ts';
import { Random } from '../../helpers/models/random.ts';
import { replicatedLogUnderTest } from '../../helpers/replication/replicated-log.ts';
import { beginCluster, SimulatedStream } from '../../helpers/replication/simulated-stream.ts';
import { logContract } from './log-contract.ts';

logContract('replicated log', (t) => {
  const root = tempDir(t);
  const folder = join(root, 'log');
  mkdirSync(folder);
  const stream = new SimulatedStream(new Random());
  beginCluster(stream);
  return replicatedLogUnderTest(stream, root, folder);
});
