/**
 * Givers that end, stand still or answer late while their data is taken over. Interleavings of requests that real
 * servers hardly ever show; test/system-tools/cluster-givers.test.ts has real ones that are killed and stopped.
 */
import type { Msg, MsgCallback, NatsConnection } from '@nats-io/transport-node';
import t, { type Test } from 'tap';
import { joinCluster } from '../../src/joining/join-cluster.ts';
import { namesOf } from '../../src/replication/cluster-settings.ts';
import {
  PIECE_BYTES_MAX,
  type PieceRequest,
  packPiece,
} from '../../src/replication/join-protocol.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { dataFolder, filesIn } from '../helpers/replication/data-folder.ts';

const names = namesOf('shop');

/** An instance, as far as one that joins sees it. */
interface Giver {
  readonly id: string;
  readonly position: number;
  readonly stream?: string;
  readonly diverged?: boolean;
  /** Answers one that joins. */
  offer(say: (answer: object) => void): void;
  /** What it answers; undefined = nothing, before the time-out. */
  piece(request: PieceRequest): Promise<Uint8Array | undefined>;
}

/** The requests that joining makes of NATS, answered by these; it asks `broken` times who is there before it gets an answer. */
function connectionTo(givers: readonly Giver[], broken: number): NatsConnection {
  const answerOf = (data: Uint8Array | string) => ({ data, json: () => JSON.parse(String(data)) });
  const giverAt = (subject: string) => {
    const [id] = subject.slice(names.join.length + 1).split('.');
    const giver = givers.find((one) => one.id === id);
    if (giver === undefined) throw new Error('nobody there');
    return giver;
  };
  const request = async (subject: string, body: string) => {
    const giver = giverAt(subject);
    const piece = await giver.piece(JSON.parse(body) as PieceRequest);
    if (piece === undefined) throw new Error('timeout');
    return answerOf(piece);
  };
  let breaks = broken;
  const requestMany = async () => {
    if (breaks-- > 0) throw new Error('closed');
    return givers.map(({ id, position, stream = 'up', diverged = false }) =>
      answerOf(JSON.stringify({ id, host: id, pid: 1, position, stream, diverged })),
    );
  };
  const inboxes = new Map<string, MsgCallback<Msg>>();
  const subscribe = (inbox: string, { callback }: { callback: MsgCallback<Msg> }) => {
    inboxes.set(inbox, callback);
    return { unsubscribe: () => inboxes.delete(inbox) };
  };
  const publish = (subject: string, _: string, options?: { reply: string }) => {
    const giver = giverAt(subject);
    // Without one it is the joiner's last word.
    const inbox = options && inboxes.get(options.reply);
    if (inbox === undefined) return;
    const say = (answer: object) => inbox(null, answerOf(JSON.stringify(answer)) as unknown as Msg);
    giver.offer(say);
  };
  const connection = { request, requestMany, subscribe, publish };
  return connection as unknown as NatsConnection;
}

function filesOf(root: string): { readonly path: string; readonly bytes: Buffer }[] {
  return filesIn(root).filter(({ path }) => !path.endsWith('newest'));
}

/** One that has this folder, and answers. */
function giverOf(root: string, id: string, position: number): Giver {
  const files = filesOf(root);
  const offered = files.map(({ path, bytes }) => ({ path, bytes: bytes.length }));
  return {
    id,
    position,
    offer: (say) => say({ session: 's', files: offered }),
    piece: async ({ file, offset, bytes }) =>
      packPiece(files[file]?.bytes.subarray(offset, offset + bytes) ?? Buffer.alloc(0)),
  };
}

async function joined(
  t: Test,
  givers: readonly Giver[],
  broken = 0,
): Promise<{ root: string; lines: string[] }> {
  const root = tempDir(t);
  const lines: string[] = [];
  const connection = connectionTo(givers, broken);
  const options = { connection, names, root, firstPosition: 1, isPatient: true };
  const isStopping = () => lines.filter((line) => line.includes('not from')).length > 3;
  const isDone = await joinCluster({ ...options, onLine: (line) => lines.push(line), isStopping });
  t.equal(isDone, true, lines.join('\n'));
  return { root, lines };
}

/** Byte by byte; the last segment ends with its last frame. */
function isCopy(t: Test, root: string, of: string): void {
  const files = filesOf(root);
  const source = filesOf(of);
  t.strictSame(
    files.map(({ path }) => path),
    source.map(({ path }) => path),
  );
  for (const [i, { path, bytes }] of files.entries()) {
    t.ok(source[i]?.bytes.subarray(0, bytes.length).equals(bytes), path);
  }
}

t.test('what a giver that was given up answers late harms no file of the next one', async (t) => {
  const source = dataFolder(t, 200);
  const late = Promise.withResolvers<Uint8Array>();
  const first: Giver = {
    ...{ id: 'first', position: 9 },
    offer: (say) => {
      const path = 'log/00000000000000000001.log';
      say({ session: 's', files: [{ path, bytes: 4 * PIECE_BYTES_MAX }] });
    },
    piece: async ({ offset }) => (offset === 0 ? Buffer.from('none') : late.promise),
  };
  const second = giverOf(source, 'second', 8);
  let asked = 0;
  const slow: Giver = {
    ...second,
    piece: async (request) => {
      // A file of this one is open.
      if (++asked === 3) late.resolve(packPiece(Buffer.alloc(PIECE_BYTES_MAX, 7)));
      await new Promise((resolve) => setTimeout(resolve, 1));
      return second.piece(request);
    },
  };
  const { root, lines } = await joined(t, [first, slow]);
  t.match(lines[1], /not from first, process 1: a piece came damaged/);
  t.match(lines[3], /took over/, lines.join('\n'));
  isCopy(t, root, source);
});

t.test('nobody takes over what is of another stream, or what most hold for wrong', async (t) => {
  const source = dataFolder(t, 200);
  const whole = giverOf(source, 'sound', 5);
  const wrong = (id: string, more: Partial<Giver>) => ({
    ...{ ...whole, id, position: 9, ...more },
    offer: () => t.fail(`${id} is asked`),
  });
  const away = wrong('away', { stream: 'down' });
  const givers = [wrong('forked', { stream: 'forked' }), wrong('diverged', { diverged: true })];
  const { root, lines } = await joined(t, [...givers, away, whole]);
  t.match(lines.at(-2), /data of sound/, lines.join('\n'));
  isCopy(t, root, source);
});

t.test('a connection that is broken for a while', async (t) => {
  const source = dataFolder(t, 200);
  const { root, lines } = await joined(t, [giverOf(source, 'first', 9)], 1);
  t.match(lines, [/no instance is there/, /data of first/, /took over/]);
  isCopy(t, root, source);
});

t.test('who refuses or falls silent before its offer is left for another one', async (t) => {
  const source = dataFolder(t, 200);
  const whole = giverOf(source, 'whole', 5);
  const busy: Giver = { ...whole, id: 'busy', position: 8, offer: (say) => say({ refusal: 'no' }) };
  const silent: Giver = {
    ...{ ...whole, id: 'silent', position: 7 },
    offer: (say) => say({ isStarting: true }),
  };
  const slow: Giver = {
    ...{ ...whole, id: 'slow', position: 6 },
    offer: (say) => {
      say({ isStarting: true });
      say({ isStarting: true });
      whole.offer(say);
    },
  };
  const { root, lines } = await joined(t, [busy, silent, slow]);
  t.match(lines[1], /not from busy, process 1: no$/);
  t.match(lines[3], /not from silent, process 1: it does not answer/);
  t.match(lines[4], /data of slow/);
  t.match(lines[5], /took over/, lines.join('\n'));
  isCopy(t, root, source);
});

t.test('who ends or stands still mid-way is left for another one', async (t) => {
  const source = dataFolder(t, 200);
  const whole = giverOf(source, 'second', 8);
  let asked = 0;
  const ends: Giver = {
    ...{ ...giverOf(source, 'first', 9) },
    piece: async (request) => (++asked > 4 ? undefined : whole.piece(request)),
  };
  const { root, lines } = await joined(t, [ends, whole]);
  t.match(lines[1], /not from first, process 1: timeout/);
  t.match(lines[3], /took over/, lines.join('\n'));
  isCopy(t, root, source);
});
