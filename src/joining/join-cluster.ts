/**
 * Takes over the data of another instance of the cluster, at a start: what the stream no longer has. Main thread,
 * before a service starts on the folder.
 *
 * In bounded memory: a few pieces are on their way at a time. Each is asked for again until it has come whole,
 * also over a connection that breaks; when the giver is gone, it begins anew with another one. What has come is
 * cut, verified and replayed as a backup is, before it counts.
 */
import { closeSync, fdatasyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { createInbox, type NatsConnection } from '@nats-io/transport-node';
import { LOG_FOLDER } from '../log/data-dir.ts';
import { NodeFileSystem } from '../log/file-system.ts';
import { segmentName } from '../log/format.ts';
import { writeNewest } from '../log/newest-file.ts';
import { listSegments } from '../log/segment-headers.ts';
import { cutTail } from '../maintenance/cut-tail.ts';
import { ReadOnlyFiles } from '../maintenance/read-only-files.ts';
import { verify } from '../maintenance/verify.ts';
import type { namesOf } from '../replication/cluster-settings.ts';
import { askInstances, giversOf, type InstanceState } from '../replication/instance-state.ts';
import {
  type JoinAnswer,
  type JoinOffer,
  type OfferedFile,
  PIECE_BYTES_MAX,
  type PieceRequest,
  unpackPiece,
} from '../replication/join-protocol.ts';
import { subscriber } from '../replication/nats-connection.ts';
import { TakingPlace } from './taking-place.ts';

/** The giver starts a thread first, on a machine that may be busy, and says so every second. */
const OFFER_MS = 60_000;
const OFFER_QUIET_MS = 10_000;
const PIECE_MS = 3000;
/** A giver that does not answer so often is gone. */
const PIECE_TRIES = 5;
const IN_FLIGHT = 4;
/** What the server answers where nobody listens. */
const NO_RESPONDERS = 503;
/** Before all instances are asked once more. */
const PAUSE_MS = 2000;

export interface JoinOptions {
  readonly connection: NatsConnection;
  readonly names: ReturnType<typeof namesOf>;
  /** DATA_DIR; it need not be there. */
  readonly root: string;
  /** The first position that the stream has: the giver must have all before it. */
  readonly firstPosition: number;
  /** Whether it waits for somebody to come who has the data, however long that takes. */
  readonly isPatient: boolean;
  readonly onLine: (line: string) => void;
  /** Whether it is to be given up. */
  readonly isStopping: () => boolean;
}

/** The files of an instance, on offer to this one. */
interface Session {
  readonly subject: string;
  readonly files: readonly OfferedFile[];
}

/** Resolves when the folder has the data of another instance; false when it was given up before. */
export async function joinCluster(options: JoinOptions): Promise<boolean> {
  const { connection, names, root, firstPosition, isPatient, onLine, isStopping } = options;
  const place = new TakingPlace(root);
  let hasSaid = false;
  /** Who has failed is asked again behind the others. */
  const failures = new Map<string, number>();
  const failuresOf = ({ id }: InstanceState) => failures.get(id) ?? 0;
  while (!isStopping()) {
    // While the connection is broken, nobody is there.
    const there = await askInstances(connection, names.who, 'some').catch(() => []);
    const givers = giversOf(there, firstPosition).sort((a, b) => failuresOf(a) - failuresOf(b));
    if (givers.length === 0 && isPatient && !hasSaid) {
      hasSaid = true;
      onLine('joining: no instance is there whose data could be taken over; waiting for one');
    }
    for (const giver of givers) {
      try {
        onLine(`joining: taking over the data of ${giver.host}, process ${giver.pid}`);
        place.begin();
        const bytes = await takeOver(connection, `${names.join}.${giver.id}`, place.data);
        const aside = place.finish();
        const kept = aside === undefined ? '' : `; what was here before is in ${aside}`;
        onLine(`joining: took over ${bytes} bytes, the stream has the rest${kept}`);
        return true;
      } catch (error) {
        failures.set(giver.id, failuresOf(giver) + 1);
        onLine(
          `joining: not from ${giver.host}, process ${giver.pid}: ${(error as Error).message}`,
        );
      }
    }
    if (!isPatient) return false;
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
  return false;
}

/** Fills `folder`; resolves to the bytes that came. Rejects, in one line, if that fails. */
async function takeOver(
  connection: NatsConnection,
  subject: string,
  folder: string,
): Promise<number> {
  const offer = await askForOffer(connection, subject);
  const session: Session = { subject: `${subject}.${offer.session}`, files: offer.files };
  try {
    for (const index of offer.files.keys()) await takeFile(connection, session, index, folder);
    await complete(connection, session, folder);
  } finally {
    connection.publish(session.subject, '{}');
  }
  const found = verify(new ReadOnlyFiles(), folder);
  const fault = found.refusal ?? found.faults[0]?.reason;
  if (fault !== undefined) throw new Error(`what came is not whole: ${fault}`);
  return offer.files.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Rejects where the giver refuses, is not there, or says nothing more. */
async function askForOffer(connection: NatsConnection, subject: string): Promise<JoinOffer> {
  const { promise, resolve, reject } = Promise.withResolvers<JoinOffer>();
  const fail = (reason: string) => reject(new Error(reason));
  const quiet = () => setTimeout(fail, OFFER_QUIET_MS, 'it does not answer');
  const inbox = createInbox();
  const answers = connection.subscribe(inbox, {
    callback: subscriber((message) => {
      clearTimeout(silence);
      if (message.headers?.code === NO_RESPONDERS) return fail('it is gone');
      const answer = message.json<JoinAnswer>();
      if ('files' in answer) resolve(answer);
      else if ('refusal' in answer) fail(answer.refusal);
      else silence = quiet();
    }, reject),
  });
  let silence = quiet();
  const slow = setTimeout(fail, OFFER_MS, 'it takes too long to offer its files');
  try {
    connection.publish(subject, '{}', { reply: inbox });
    return await promise;
  } finally {
    answers.unsubscribe();
    clearTimeout(silence);
    clearTimeout(slow);
  }
}

async function takeFile(
  connection: NatsConnection,
  { subject, files }: Session,
  index: number,
  folder: string,
): Promise<void> {
  const { path, bytes } = files[index] as OfferedFile;
  // It comes from outside.
  if (normalize(path) !== path || path.startsWith('..') || path.startsWith('/')) {
    throw new Error(`it offers a file at ${path}`);
  }
  const target = join(folder, path);
  mkdirSync(dirname(target), { recursive: true });
  const file = openSync(target, 'w');
  let isOpen = true;
  try {
    let next = 0;
    const worker = async () => {
      while (isOpen && next < bytes) {
        const offset = next;
        const request = { file: index, offset, bytes: Math.min(PIECE_BYTES_MAX, bytes - offset) };
        next += request.bytes;
        const piece = await takePiece(connection, subject, request);
        // Another one has failed meanwhile: the descriptor may be that of the next giver's file by now.
        if (isOpen) writeSync(file, piece, 0, piece.length, offset);
      }
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
    fdatasyncSync(file);
  } finally {
    isOpen = false;
    closeSync(file);
  }
}

async function takePiece(
  connection: NatsConnection,
  subject: string,
  request: PieceRequest,
): Promise<Uint8Array> {
  let reason = 'it did not answer';
  for (let tries = 0; tries < PIECE_TRIES; tries++) {
    try {
      const answer = await connection.request(subject, JSON.stringify(request), {
        timeout: PIECE_MS,
      });
      const piece = unpackPiece(answer.data);
      if (piece?.length === request.bytes) return piece;
      reason = 'a piece came damaged';
    } catch (error) {
      reason = (error as Error).message;
      // No responders is said at once.
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS / 4));
    }
  }
  throw new Error(reason);
}

/** As a backup does: the last segment ends behind its last whole frame. */
async function complete(
  connection: NatsConnection,
  session: Session,
  folder: string,
): Promise<void> {
  const files = new NodeFileSystem();
  const logFolder = join(folder, LOG_FOLDER);
  mkdirSync(logFolder, { recursive: true });
  const last = listSegments(files, logFolder).at(-1);
  if (last !== undefined) {
    if (!cutTail(files, logFolder, last)) {
      const path = join(LOG_FOLDER, segmentName(last));
      const index = session.files.findIndex((file) => file.path === path);
      await takeFile(connection, session, index, folder);
      cutTail(files, logFolder, last);
    }
    writeNewest(files, logFolder, last);
  }
  const folders = new Set<string>();
  for (const { path } of session.files) {
    for (let at = dirname(join(folder, path)); at !== folder; at = dirname(at)) folders.add(at);
  }
  for (const each of [...folders, folder]) files.syncFolder(each);
}
