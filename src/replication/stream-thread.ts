/** The stream's thread from start to end. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { NatsSettings } from '../config/nats.ts';
import { IntakeRing } from '../ring/intake-ring.ts';
import { LogProgress } from '../ring/progress.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import { type namesOf, RULES } from './cluster-settings.ts';
import type { InstanceState, OwnState } from './instance-state.ts';
import { type JoinAnswer, SESSIONS_MAX, STARTING_MS } from './join-protocol.ts';
import { OWN_CHAIN, OWN_KEPT, OWN_OUTVOTED, OWN_POSITION } from './progress-numbers.ts';
import { StreamClient } from './stream-client.ts';
import { StreamEnd, type StreamMemory } from './stream-memory.ts';

const HAND_OVER_ENTRY = new URL('../../workers/hand-over.ts', import.meta.url);

/** From the end of a joining until that instance is up: it verifies and replays first what it has got. */
const HOLD_MS = 600_000;

/** What it is started with; survives structured cloning. */
export interface StreamThreadData {
  readonly memory: SharedMemory;
  readonly stream: StreamMemory;
  readonly nats: NatsSettings;
  readonly names: ReturnType<typeof namesOf>;
  /** Whether nothing is ever sent. */
  readonly isReader: boolean;
  /** The data folder, for those that take it over. */
  readonly root: string;
  readonly sinks: readonly SharedSink[];
}

/** A sink, and what its thread counts (sinks/sink-stats.ts). */
export interface SharedSink {
  readonly name: string;
  readonly stats: SharedArrayBuffer;
}

export type SinkStates = InstanceState['sinks'];

/** Starts it; it runs until it is ended from outside. `sinksOf` says what they do now. */
export function runStreamThread(
  data: StreamThreadData,
  sinksOf: (sinks: readonly SharedSink[]) => SinkStates,
): void {
  const { memory, stream, nats, names, isReader, root } = data;
  const id = randomBytes(8).toString('hex');
  const progress = new LogProgress(memory.progress);
  /** What was kept when each joining from here began: those that join need the stream from there on. */
  const holds = new Map<string, number>();
  const describe = (): OwnState => {
    const known = progress.load();
    return {
      ...{ id, host: hostname(), pid: process.pid, role: isReader ? 'reader' : 'full' },
      rules: RULES,
      position: known?.own[OWN_POSITION] ?? 0,
      // What it still reads from its own files it does not know yet: then it needs all.
      kept: Math.min(known?.own[OWN_KEPT] ?? 0, ...holds.values()),
      sinks: sinksOf(data.sinks),
      seq: (known?.nextSeq ?? 1) - 1,
      diverged: known?.own[OWN_OUTVOTED] === 1,
      chain: (known?.own[OWN_CHAIN] ?? 0).toString(16).padStart(8, '0'),
    };
  };
  let sessions = 0;
  const onJoin = (reply: string, say: (answer: JoinAnswer) => void) => {
    if (sessions >= SESSIONS_MAX) {
      say({ refusal: `${sessions} others are taking over its data` });
      return;
    }
    sessions++;
    const starting = setInterval(() => say({ isStarting: true }), STARTING_MS);
    say({ isStarting: true });
    const session = randomBytes(8).toString('hex');
    const subject = `${names.join}.${id}.${session}`;
    // Before its files are opened: the record among them is this one, or a newer one.
    holds.set(session, describe().kept);
    const workerData = { root, nats, subject, session, reply };
    const worker = new Worker(HAND_OVER_ENTRY, { workerData, name: 'hand-over' });
    // Its only message: the offer is out.
    worker.on('message', () => clearInterval(starting));
    // This instance goes on.
    worker.on('error', ({ message }) => say({ refusal: message }));
    worker.on('exit', () => {
      sessions--;
      clearInterval(starting);
      // Until it can say itself what it needs.
      setTimeout(() => holds.delete(session), HOLD_MS);
    });
  };
  const end = new StreamEnd(stream, new IntakeRing(memory.intake));
  const name = `product-service ${hostname()} ${process.pid}`;
  new StreamClient({ nats, names, name, end, isReader, id, onJoin, describe }).start();
}
