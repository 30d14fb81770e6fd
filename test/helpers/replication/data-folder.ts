/** The data folder of an instance of a cluster, made without a process. Tests only. */
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { INTAKE_HEAD, INTAKE_STOP, publishHead } from '../../../src/ring/intake-ring.ts';
import { HASH_KEY, LogMemory } from '../../log/contract/log-contract.ts';
import { tempDir } from '../disks/temp-dir.ts';
import { putEvent } from '../models/plain-event.ts';
import { Random } from '../models/random.ts';
import { replicatedLogUnderTest } from './replicated-log.ts';
import { beginCluster, SimulatedStream } from './simulated-stream.ts';

/** It has read `events` events, each a message of its own, and was stopped; the log is in some segments. */
export function dataFolder(t: Test, events: number): string {
  const root = tempDir(t);
  const folder = join(root, 'log');
  mkdirSync(folder);
  const stream = new SimulatedStream(new Random(1));
  beginCluster(stream);
  const memory = new LogMemory();
  const { log } = replicatedLogUnderTest(stream, root, folder).open(memory, 1);
  const { live } = memory.intakes;
  for (let price = 1; price <= events; price++) {
    const head = live.cursors[INTAKE_HEAD];
    const event = { seq: 0, productId: `p${price}`, price, stock: 1, occurredAtMs: 1 };
    putEvent(live.slots, head & live.mask, event, HASH_KEY);
    publishHead(live, head + 1, live);
    log.commitPending();
  }
  live.cursors[INTAKE_STOP] = 1;
  log.run();
  return root;
}

/** What is in a folder, with paths in it, in order. */
export function filesIn(root: string): { readonly path: string; readonly bytes: Buffer }[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(root.length + 1))
    .sort()
    .map((path) => ({ path, bytes: readFileSync(join(root, path)) }));
}
