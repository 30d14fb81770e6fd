/**
 * `cluster init --from`: a new generation of a cluster, with the data of one instance as its beginning; for when the
 * stream is lost, or is not the one that was followed. Numbers, ETags and keys go on. Main thread of a tool.
 *
 *  1. Nobody of the generation before is up, and no service can start on the folder meanwhile.
 *  2. The folder is verified. Its end, with a nonce, is written beside it: `next-generation.json`. From here on until 5 is
 *     done, no instance starts on the folder.
 *  3. The old stream is sealed, if it is there: nothing gets into it any more.
 *  4. The new stream is created, and the end of the folder is its first message, GENESIS, which is taken only as that.
 *  5. What the folder knows of the stream is replaced: it has read GENESIS. Then `cluster.json`; the file of 2 goes.
 * Killed before 4 is done: the command begins anew, with the same nonce: what it has sent may still come. Behind it: the
 * nonce in GENESIS is that of the folder, and the command goes on with 5; behind all of that only the file goes, and
 * while nothing has happened in the new generation the command changes nothing. Of two folders whose commands run at once,
 * one has the first message; the other is refused from then on.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { NatsConnection } from '@nats-io/transport-node';
import { FolderHeldError, LOG_FOLDER, lockRoot } from '../log/data-dir.ts';
import { NodeFileSystem } from '../log/file-system.ts';
import type { FolderLock } from '../log/folder-lock.ts';
import { ReadOnlyFiles } from '../maintenance/read-only-files.ts';
import { endOfLog, verify } from '../maintenance/verify.ts';
import {
  checkStream,
  createStream,
  isEmpty,
  publishGenesis,
  type StreamSize,
} from '../replication/begin-cluster.ts';
import {
  type Base,
  type Genesis,
  generationOf,
  namesOf,
  unpackGenesis,
} from '../replication/cluster-settings.ts';
import { newestGeneration } from '../replication/generations.ts';
import { askInstances, type InstanceState } from '../replication/instance-state.ts';
import { keptGenesis } from '../replication/kept-genesis.ts';
import { localEnd } from '../replication/local-end.ts';
import { ReplicaFile } from '../replication/replica-file.ts';
import { NO_STREAM, StreamApi, StreamError } from '../replication/stream-api.ts';
import { NextGeneration } from './next-generation.ts';
import { TakingPlace } from './taking-place.ts';

/** How often it is asked who is up before nobody is. */
const ASKED = 2;

export interface GenerationOptions {
  readonly connection: NatsConnection;
  /** The cluster's. */
  readonly name: string;
  /** DATA_DIR of the instance that knows most. */
  readonly dataDir: string;
  readonly size: StreamSize;
}

/** Returns what the generation was begun with. Throws, in one line. */
export async function beginGeneration(options: GenerationOptions): Promise<Genesis> {
  const root = resolve(options.dataDir);
  // Where there is none, none is to be made.
  if (!existsSync(root)) throw new Error(`${root} is not there`);
  const lock = held(root);
  try {
    // What was taken over last, and was not yet in its place.
    new TakingPlace(root).resume();
    return await beginHeld(options, root);
  } finally {
    lock.release();
  }
}

function held(root: string): FolderLock {
  try {
    return lockRoot(root);
  } catch (error) {
    if (!(error instanceof FolderHeldError)) throw error;
    throw new Error(`${error.message}: stop the instance first`);
  }
}

async function beginHeld(options: GenerationOptions, root: string): Promise<Genesis> {
  const { connection, name, size } = options;
  const kept = keptGenesis(root, name);
  if (kept === undefined) throw new Error(`${root} has no data of the cluster ${name}`);
  const next = new NextGeneration(new NodeFileSystem(), root);
  if (next.isDone(kept)) {
    next.end();
    return kept;
  }
  if (await isJustBegun(connection, name, root, kept)) return kept;
  const generation = generationOf(kept) + 1;
  const old = namesOf(name, generation - 1);
  await checkNobodyUp(connection, old.who, generation - 1);
  const names = namesOf(name, generation);
  const api = new StreamApi(connection, names.stream);
  const newest = await newestGeneration(connection, name);
  if (newest > generation || (newest === generation && !(await isEmpty(api)))) {
    const first = await api.leaders(1);
    const begun = first === undefined ? 'none' : unpackGenesis(first);
    if (typeof begun === 'string' || begun.base?.nonce !== next.pending?.nonce) {
      throw new Error(
        `the cluster ${name} goes on as generation ${newest}, which was not begun from ${root}`,
      );
    }
    next.finish(name, begun, first as Uint8Array);
    return begun;
  }
  const { pending } = next;
  const genesis: Genesis = { ...kept, generation, base: next.begin(endOf(root)) };
  await new StreamApi(connection, old.stream).seal().catch((error: unknown) => {
    // It may be what was lost.
    if (!(error instanceof StreamError && error.code === NO_STREAM)) throw error;
  });
  try {
    // One that was started meanwhile may have acknowledged what the end of the folder lacks; from here on nobody can.
    await checkNobodyUp(connection, old.who, generation - 1);
  } catch (error) {
    // Nothing of a first message was sent: the folder is as it was.
    if (pending === undefined) next.end();
    throw error;
  }
  if (newest < generation) await createStream(api, names, size);
  else await checkStream(api, size);
  await publishGenesis(connection, names, genesis);
  const bytes = await api.leaders(1);
  if (bytes === undefined) throw new Error(`${names.stream} does not have its first message`);
  next.finish(name, genesis, bytes);
  return genesis;
}

/** Rejects where an instance is up. */
async function checkNobodyUp(
  connection: NatsConnection,
  who: string,
  generation: number,
): Promise<void> {
  let up: InstanceState | undefined;
  // More than once: on a busy machine one may be late.
  for (let tries = 0; up === undefined && tries < ASKED; tries++) {
    [up] = await askInstances(connection, who);
  }
  if (up === undefined) return;
  throw new Error(
    `an instance of generation ${generation} is up (${up.host}, process ${up.pid}, at seq ${up.seq}): stop all of them first`,
  );
}

/** Whether the folder's generation is the newest and nothing has happened in it: a next one would say the same. */
async function isJustBegun(
  connection: NatsConnection,
  name: string,
  root: string,
  kept: Genesis,
): Promise<boolean> {
  const { base } = kept;
  const generation = generationOf(kept);
  if (base === undefined || (await newestGeneration(connection, name)) !== generation) return false;
  const api = new StreamApi(connection, namesOf(name, generation).stream);
  if ((await api.info()).state.last_seq !== 1) return false;
  const first = await api.leaders(1);
  const begun = first && unpackGenesis(first);
  const isOwn = typeof begun === 'object' && begun.base?.nonce === base.nonce;
  return isOwn && endOfLog(new ReadOnlyFiles(), root).nextSeq === base.seq + 1;
}

/** Where the data in the folder ends. Throws where they are not whole. */
function endOf(root: string): Pick<Base, 'seq' | 'chain'> {
  const files = new ReadOnlyFiles();
  const found = verify(files, root);
  const fault = found.refusal ?? found.faults[0]?.reason;
  if (fault !== undefined) throw new Error(`the data in ${root} is not whole: ${fault}`);
  const { nextSeq } = endOfLog(files, root);
  const record = new ReplicaFile(files, root).load(nextSeq);
  const { chain } = localEnd(files, join(root, LOG_FOLDER), record, nextSeq);
  return { seq: nextSeq - 1, chain };
}
