/**
 * The change feed across frames that are whole in a file and don't count: of a flush that failed, and
 * of a log thread that died between flush and commit. Their events stand again in the next segment.
 */
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Service } from '../../src/service.ts';
import { bounded, polled } from '../helpers/bounded.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { ChangeFollower, type ToldChange } from '../helpers/clients/change-follower.ts';
import { WriteLoad } from '../helpers/clients/write-load.ts';
import { segmentsOf } from '../helpers/disks/log-frames.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { GATED_LOG, installGates, type LogGates } from '../helpers/threads/log-gates.ts';
import { ServiceThreads } from '../helpers/threads/service-threads.ts';

const WAIT_MS_MAX = 60_000;
const SEGMENT_BYTES = 1 << 20;
const FAILED_FLUSHES = 4;
/** Far more than the commit ring holds, so that what came before is read from the files. */
const AFTERWARDS = 25_000;
/** Older than what the load has written, so it changes nothing. */
const STALE = '{"product_id":"é 0","price":1,"stock":1,"occurred_at":1}\n';
const BATCH = 100;
const seed = testSeed();
const random = new Random(seed);

interface World {
  readonly service: Service;
  readonly kills: ServiceThreads;
  readonly dataDir: string;
  readonly gates: LogGates;
  readonly load: WriteLoad;
}

/** Sends some events at once, so that they are one frame, or a few. */
const send = ({ load }: World) => load.send(random.integer(1, 400));

async function storageIs({ service }: World, available: boolean): Promise<void> {
  const isSo = () => (service.storageAvailable === available ? true : undefined);
  await polled(isSo, WAIT_MS_MAX, `the storage to be ${available ? 'back' : 'gone'}`);
}

/** Waits until the newest segment has all its room, and an event went behind that. */
async function onlyFramesAreFlushed({ dataDir, load }: World): Promise<void> {
  const isWhole = () => {
    const newest = segmentsOf(dataDir).at(-1);
    return (newest?.bytes.length ?? 0) >= SEGMENT_BYTES ? true : undefined;
  };
  await polled(isWhole, WAIT_MS_MAX, 'the room of the newest segment');
  await load.send(1);
}

/** Writes a frame whose flush fails; `meanwhile` runs before the disk is back. */
async function failFlush(world: World, meanwhile: () => Promise<void>): Promise<void> {
  await onlyFramesAreFlushed(world);
  Atomics.store(world.gates.flushFails, 0, 1);
  const sending = send(world);
  await storageIs(world, false);
  await meanwhile();
  Atomics.store(world.gates.flushFails, 0, 0);
  await sending;
  await storageIs(world, true);
}

/**
 * Kills the log thread when it has written a batch's frame and not flushed it. Single events have
 * come meanwhile: its successor takes these first, so the numbers in the void frame are theirs now.
 */
async function killBeforeCommit(world: World, port: number): Promise<void> {
  const { kills, gates, load } = world;
  await onlyFramesAreFlushed(world);
  gates.flush.close();
  const batch = sendBatch(port, STALE.repeat(BATCH));
  await gates.flush.arrival();
  const sending = send(world);
  await kills.killLog();
  gates.flush.open();
  await sending;
  const { body } = await batch;
  if (body.first_seq !== load.seq + 1) throw new Error(`the batch has ${JSON.stringify(body)}`);
  load.seq += BATCH;
}

/** First seqs of frames that don't count: from the first one of the next segment on. */
function voidFrames(dataDir: string): number[] {
  const segments = segmentsOf(dataDir);
  return segments.flatMap(({ frames }, i) => {
    const end = segments[i + 1]?.firstSeq ?? Number.POSITIVE_INFINITY;
    return frames.filter(({ firstSeq }) => firstSeq >= end).map(({ firstSeq }) => firstSeq);
  });
}

/** What pages of JSON tell of each event up to `until`, without what moves on with the state. */
async function pagesUntil(port: number, until: number): Promise<string[]> {
  const told: string[] = [];
  for (let since = 0; since < until; ) {
    const url = `http://127.0.0.1:${port}/api/v1/changes?since=${since}&limit=300`;
    const page = (await (await fetch(url)).json()) as {
      readonly changes: readonly ToldChange[];
      readonly next_since: number;
    };
    for (const { seq, product_id, occurred_at } of page.changes) {
      if (seq <= until) told.push(`${seq} ${product_id} ${occurred_at}`);
    }
    if (page.next_since <= since) throw new Error(`no changes after ${since}`);
    since = page.next_since;
  }
  return told;
}

async function follow(t: Test, port: number, since: number): Promise<ChangeFollower> {
  const follower = new ChangeFollower({ port, lastEventId: since });
  t.teardown(() => follower.disconnect());
  await follower.connect();
  return follower;
}

/** Waits until it is at the end; says what it missed, was told wrongly, or was told besides. */
async function faultOf(follower: ChangeFollower, load: WriteLoad, since: number): Promise<string> {
  const isThere = () => (follower.lastEventId ?? 0) >= load.seq;
  await bounded(follower.until(isThere), WAIT_MS_MAX, `a follower since ${since}`);
  const besides = follower.events.map(({ name }) => name).join();
  const wrong = load.missing(follower.seqs, since + 1) || besides;
  if (since > 0) return wrong;
  const extra = follower.seqs.size - load.effective;
  return wrong || load.difference(follower.last) || (extra === 0 ? '' : `${extra} told too many`);
}

t.test(`read across without missing or repeating anything (seed ${seed})`, async (t) => {
  const dataDir = join(tempDir(t), 'data');
  const env = {
    DATA_DIR: dataDir,
    SEGMENT_SIZE: '1MB',
    QUEUE_SIZE: '500',
    BULK_QUEUE_SIZE: '500',
    CHANGES_HEARTBEAT: '50ms',
  };
  const gates = installGates();
  const threads = { log: GATED_LOG };
  const kills = new ServiceThreads(t);
  const { service, port } = await startReadyService(t, env, { threads });
  const load = new WriteLoad(service, seed, 60);
  const world = { service, kills, dataDir, gates, load };
  const followers = new Map([[0, await follow(t, port, 0)]]);
  const begin = async () => {
    followers.set(load.seq, await follow(t, port, load.seq));
  };
  await send(world);
  for (let n = 0; n < FAILED_FLUSHES; n++) {
    await failFlush(world, begin);
    if (n % 2 === 0) await send(world);
  }
  await begin();
  await killBeforeCommit(world, port);
  const until = load.seq;
  const fresh = await pagesUntil(port, until);
  const places = voidFrames(dataDir);
  t.equal(places.length, FAILED_FLUSHES + 1, `frames are void at ${places}`);
  await load.send(AFTERWARDS);
  for (const [since, follower] of followers) {
    t.equal(await faultOf(follower, load, since), '', `followed from ${since} on`);
  }

  const starts = [0, ...places.flatMap((seq) => [seq - 1, seq, seq + random.below(100)])];
  const late = async (t: Test, port: number, load: WriteLoad) => {
    t.strictSame(await pagesUntil(port, until), fresh, 'pages tell the same events as before');
    for (const since of starts) {
      const follower = await follow(t, port, since);
      t.equal(await faultOf(follower, load, since), '', `since ${since}, of ${load.seq}`);
      follower.disconnect();
    }
  };
  await t.test('from the files', (t) => late(t, port, load));
  t.equal(await service.stop(), true);
  const again = await startReadyService(t, env);
  await t.test('after a restart', (t) => late(t, again.port, load.on(again.service)));
});
