/**
 * Hands the files of this instance's data folder to one that joins its cluster, while it runs: they are opened
 * within one moment, as a backup opens them, and read piece by piece. A thread of its own for one session,
 * which ends when the other one is done, or asks no more.
 */
import { join } from 'node:path';
import type { Msg, NatsConnection } from '@nats-io/transport-node';
import type { NatsSettings } from '../config/nats.ts';
import { CHECKPOINT_FOLDER, LOG_FOLDER } from '../log/data-dir.ts';
import { type FileHandle, type FileSystem, NodeFileSystem, readFully } from '../log/file-system.ts';
import { pinFolder } from '../maintenance/pinned-folder.ts';
import {
  type JoinAnswer,
  type OfferedFile,
  PIECE_BYTES_MAX,
  type PieceRequest,
  packPiece,
  SESSION_IDLE_MS,
} from '../replication/join-protocol.ts';
import { openNats, subscriber } from '../replication/nats-connection.ts';

/** What the thread is started with; survives structured cloning. */
export interface HandOverData {
  readonly root: string;
  readonly nats: NatsSettings;
  /** Where the joiner asks; its last word is the session. */
  readonly subject: string;
  readonly session: string;
  /** Where it waits for the offer. */
  readonly reply: string;
}

/** Files go while they are opened, when retention removes them. */
const TRIES_MAX = 20;

/** Resolves when the session has ended; `onOffered` hears when the joiner has its answer. */
export async function handOver(
  { root, nats, subject, session, reply }: HandOverData,
  onOffered: () => void,
): Promise<void> {
  const files = new NodeFileSystem();
  const connection = await openNats(nats, 'product-service hand over', true);
  const offered = pinned(files, root);
  try {
    const answer: JoinAnswer =
      offered === undefined
        ? { refusal: 'its files change too fast' }
        : { session, files: offered.map(({ path, bytes }) => ({ path, bytes })) };
    const ended = offered && serve(connection, subject, files, offered);
    // Whoever gets the offer may ask at once.
    await connection.flush();
    connection.publish(reply, JSON.stringify(answer));
    await connection.flush();
    onOffered();
    await ended;
  } finally {
    offered?.close();
    await connection.close();
  }
}

interface PinnedFiles extends Array<OfferedFile & { readonly file: FileHandle }> {
  close(): void;
}

/** All files, opened; `undefined` where they don't hold still. */
function pinned(files: FileSystem, root: string): PinnedFiles | undefined {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    try {
      const folder = pinFolder(files, root);
      const { replica, parts, checkpoints, segments } = folder;
      const all = [
        ...replica.map(({ name, file }) => ({ path: name, file })),
        ...parts.map(({ name, file }) => ({ path: join(CHECKPOINT_FOLDER, name), file })),
        ...checkpoints.flatMap(({ name, files: inside }) =>
          inside.map((one) => ({ path: join(CHECKPOINT_FOLDER, name, one.name), file: one.file })),
        ),
        ...segments.map(({ name, file }) => ({ path: join(LOG_FOLDER, name), file })),
      ].map((one) => ({ ...one, bytes: files.size(one.file) }));
      return Object.assign(all, { close: () => folder.close() });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return undefined;
}

/** Answers until the joiner is done or silent. */
function serve(
  connection: NatsConnection,
  subject: string,
  files: FileSystem,
  offered: PinnedFiles,
): Promise<void> {
  const ended = Promise.withResolvers<void>();
  const buffer = Buffer.alloc(PIECE_BYTES_MAX);
  let idle = setTimeout(ended.resolve, SESSION_IDLE_MS);
  const answer = (message: Msg) => {
    clearTimeout(idle);
    idle = setTimeout(ended.resolve, SESSION_IDLE_MS);
    const { file, offset, bytes } = message.json<Partial<PieceRequest>>();
    const asked = file === undefined ? undefined : offered[file];
    if (asked === undefined || offset === undefined || bytes === undefined) {
      message.respond();
      ended.resolve();
      return;
    }
    const wanted = Math.min(bytes, PIECE_BYTES_MAX);
    const got = readFully(files, asked.file, buffer, 0, wanted, offset);
    message.respond(packPiece(buffer.subarray(0, got)));
  };
  connection.subscribe(subject, { callback: subscriber(answer, ended.reject) });
  return ended.promise.finally(() => clearTimeout(idle));
}
