/** What an instance knows of the stream, on its way to disk and back. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { NodeFileSystem, readFully } from '../../src/log/file-system.ts';
import { REPLICA_FILES, ReplicaFile } from '../../src/replication/replica-file.ts';
import { EMPTY_REPLICA } from '../../src/replication/replica-state.ts';
import { Ended, FaultyFiles, FaultyProcess } from '../durability/faulty-files.ts';
import { SimulatedDisk } from '../durability/simulated-disk.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const seed = testSeed();
const SEEDS = 40;
const STORED = 4;

const recordAt = (position: number) => ({ ...EMPTY_REPLICA, position, nextSeq: position + 1 });

t.test('a copy that was opened stays whole while records go on', (t) => {
  const files = new NodeFileSystem();
  const root = tempDir(t);
  const replica = new ReplicaFile(files, root);
  for (const position of [98, 99]) replica.store(recordAt(position));
  const opened = REPLICA_FILES.map((name) => {
    const file = files.openForReading(join(root, name));
    return { name, file, bytes: files.size(file) };
  });
  // Longer ones, in both places.
  for (const position of [100_000, 100_001]) replica.store(recordAt(position));
  const to = tempDir(t);
  for (const { name, file, bytes } of opened) {
    const content = Buffer.alloc(bytes);
    readFully(files, file, content, 0, bytes, 0);
    files.close(file);
    const copy = files.create(join(to, name));
    files.write(copy, content, 0, bytes, 0);
    files.close(copy);
  }
  t.strictSame(new ReplicaFile(files, to).load(100), recordAt(99), 'the record of that moment');
  t.strictSame(new ReplicaFile(files, root).load(100_002), recordAt(100_001));
  t.strictSame(
    new ReplicaFile(files, root).load(100_001),
    recordAt(100_000),
    'not ahead of the log',
  );
  t.strictSame(new ReplicaFile(files, tempDir(t)).load(1), EMPTY_REPLICA);
  t.end();
});

t.test('a damaged one does not count', (t) => {
  const root = tempDir(t);
  const replica = new ReplicaFile(new NodeFileSystem(), root);
  for (const position of [41, 42]) replica.store(recordAt(position));
  const path = join(root, REPLICA_FILES[1]);
  writeFileSync(path, readFileSync(path, 'utf8').replace('"position":42', '"position":43'));
  t.strictSame(new ReplicaFile(new NodeFileSystem(), root).load(100), recordAt(41));
  t.end();
});

// The stream may be trimmed behind what was said to be kept.
t.test(`what was stored is there, whatever comes between (seed ${seed})`, (t) => {
  let cuts = 0;
  for (let n = 0; n < SEEDS; n++) {
    for (const kind of ['end-before', 'end-after'] as const) {
      let wasCut = true;
      for (let call = 0; wasCut; call++) {
        const random = new Random(seed + n);
        const disk = new SimulatedDisk();
        disk.makeFolder('/data');
        disk.syncFolder('/');
        const process = new FaultyProcess(disk, random);
        process.faults = [{ from: call, calls: 1, kind }];
        let stored = 0;
        try {
          const replica = new ReplicaFile(new FaultyFiles(process), '/data');
          replica.load(1);
          for (; stored < STORED; stored++) replica.store(recordAt(stored + 1));
          wasCut = false;
        } catch (error) {
          if (!(error instanceof Ended)) throw error;
          cuts++;
        }
        if (random.chance(0.7)) disk.powerLoss(random);
        else disk.processEnds();
        const { position } = new ReplicaFile(disk, '/data').load(STORED + 2);
        const isKept = position === stored || position === stored + 1;
        if (!isKept) t.fail(`stored ${stored}, and it finds ${position}`);
        // The log may have lost its end: the record before is still there.
        const older = new ReplicaFile(disk, '/data').load(position);
        if (older.position !== Math.max(0, position - 1))
          t.fail(`before ${position}: ${older.position}`);
        // And whoever goes on replaces the older one of them.
        const next = new ReplicaFile(disk, '/data');
        const { position: last } = next.load(STORED + 2);
        next.store(recordAt(STORED + 5));
        const before = new ReplicaFile(disk, '/data').load(STORED + 3);
        if (before.position !== last) t.fail(`${last} was replaced: ${before.position}`);
      }
    }
  }
  t.ok(cuts > 100, `cut off ${cuts} times`);
  t.end();
});
