/** What a folder knows of the generation that it begins, cut off at each call of the disk, with and without power. */
import t from 'tap';
import { NextGeneration } from '../../src/joining/next-generation.ts';
import { type FileSystem, readFully } from '../../src/log/file-system.ts';
import type { Base, Genesis } from '../../src/replication/cluster-settings.ts';
import { packGenesis } from '../../src/replication/cluster-settings.ts';
import { keepGenesis } from '../../src/replication/kept-genesis.ts';
import { headerCrc } from '../../src/replication/message.ts';
import { ReplicaFile } from '../../src/replication/replica-file.ts';
import { Ended, FaultyFiles, FaultyProcess } from '../durability/faulty-files.ts';
import { SimulatedDisk } from '../durability/simulated-disk.ts';
import { Random, testSeed } from '../helpers/models/random.ts';

const ROOT = '/data';
const END = { seq: 7, chain: 99 };
const SEEDS = 60;
const before: Genesis = {
  ...{ rules: 1, shards: 1, shardEntries: 10, dedupeEvents: 10 },
  ...{ id: '07'.repeat(16), hashKey: { k0: 1, k1: 2 } },
};
const seed = testSeed();

/** The folder of an instance that has read a stream up to 500. */
function folder(): SimulatedDisk {
  const disk = new SimulatedDisk();
  disk.makeFolder(ROOT);
  disk.syncFolder('/');
  keepGenesis(disk, ROOT, 'shop', before);
  const replica = new ReplicaFile(disk, ROOT);
  for (const position of [499, 500]) {
    replica.store({ position, crc: 1, nextSeq: 8, chain: 99, cluster: before.id, writers: [] });
  }
  disk.powerLoss(new Random(1));
  return disk;
}

/** A process that is cut off around the call with this number. Returns whether it was. */
function isCutOff(
  disk: SimulatedDisk,
  { call, kind, random }: { call: number; kind: 'end-before' | 'end-after'; random: Random },
  work: (files: FileSystem) => void,
): boolean {
  const process = new FaultyProcess(disk, random);
  process.faults = [{ from: call, calls: 1, kind }];
  try {
    work(new FaultyFiles(process));
    return false;
  } catch (error) {
    if (!(error instanceof Ended)) throw error;
    return true;
  } finally {
    if (random.chance(0.5)) disk.powerLoss(random);
    else disk.processEnds();
  }
}

function eachCut(visit: (cut: Parameters<typeof isCutOff>[1]) => boolean): number {
  let cuts = 0;
  for (let n = 0; n < SEEDS; n++) {
    for (const kind of ['end-before', 'end-after'] as const) {
      for (let call = 0; visit({ call, kind, random: new Random(seed + n) }); call++) cuts++;
    }
  }
  return cuts;
}

function keptIn(disk: SimulatedDisk): Genesis {
  const file = disk.openForReading(`${ROOT}/cluster.json`);
  const bytes = Buffer.alloc(disk.size(file));
  readFully(disk, file, bytes, 0, bytes.length, 0);
  return JSON.parse(bytes.toString()).genesis;
}

t.test(`its end is written down whole or not at all (seed ${seed})`, (t) => {
  const cuts = eachCut((cut) => {
    const disk = folder();
    let said: Base | undefined;
    const wasCut = isCutOff(disk, cut, (files) => {
      said = new NextGeneration(files, ROOT).begin(END);
    });
    const { pending } = new NextGeneration(disk, ROOT);
    if (said !== undefined && pending?.nonce !== said.nonce) t.fail('what was said is kept');
    if (pending !== undefined && pending.seq !== END.seq) t.fail('another end');
    // Whatever was sent under this nonce is known to the next command, and to the one after it.
    const again = new NextGeneration(disk, ROOT).begin(END);
    if (pending !== undefined && again.nonce !== pending.nonce) t.fail('another nonce');
    if (isCutOff(disk, cut, (files) => void new NextGeneration(files, ROOT).begin(END))) {
      const kept = new NextGeneration(disk, ROOT).pending;
      if (kept?.nonce !== again.nonce) t.fail('the nonce is lost');
    }
    const other = new NextGeneration(disk, ROOT).begin({ ...END, seq: 8 });
    if (other.nonce === again.nonce) t.fail('the folder has changed, and the nonce has not');
    return wasCut;
  });
  t.ok(cuts > 10, `cut off ${cuts} times`);
  t.end();
});

t.test(`the folder is of one generation or says that it is not done (seed ${seed})`, (t) => {
  const cuts = eachCut((cut) => {
    const disk = folder();
    const base = new NextGeneration(disk, ROOT).begin(END);
    const genesis: Genesis = { ...before, generation: 2, base };
    const first = packGenesis(genesis, 1);
    const finish = (files: FileSystem) =>
      new NextGeneration(files, ROOT).finish('shop', genesis, first);
    const wasCut = isCutOff(disk, cut, finish);
    const next = new NextGeneration(disk, ROOT);
    const known = () => new ReplicaFile(disk, ROOT).load(8);
    if (next.isDone(keptIn(disk))) next.end();
    else if (next.pending !== undefined) {
      // Refused at a start, and known to the command.
      if (next.pending.nonce !== base.nonce) t.fail('the nonce is lost');
      finish(disk);
    }
    if (next.pending !== undefined) t.fail('it is done');
    if (keptIn(disk).generation !== 2) t.fail('half of it is of before');
    const { position, crc, chain } = known();
    if (position !== 1 || crc !== headerCrc(first) || chain !== END.chain) {
      t.fail(`it has read up to ${position} of a stream`);
    }
    return wasCut;
  });
  t.ok(cuts > 10, `cut off ${cuts} times`);
  t.end();
});
