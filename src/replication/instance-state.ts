/**
 * What the instances of a cluster say of themselves, when they are asked over NATS: each answers, nobody keeps
 * it. Any thread.
 *
 *   asks      ps.CLUSTER.GENERATION.who, with an inbox to answer to
 *   answers   one JSON object from each instance that is there
 */
import { errors, type NatsConnection } from '@nats-io/transport-node';
import type { StreamHealth } from './stream-port.ts';

export interface InstanceState {
  /** Another one for each life of a process. */
  readonly id: string;
  readonly host: string;
  readonly pid: number;
  readonly role: 'full' | 'reader';
  /** Of the rules by which it judges events. */
  readonly rules: number;
  /** Of the stream: the last message of which all is done. */
  readonly position: number;
  /** What comes behind it it still needs of the stream, for a restart or for one that joins from it. */
  readonly kept: number;
  /** Of the last event before it. */
  readonly seq: number;
  /** Checksum of all that it made of the stream up to there, in hexadecimal. */
  readonly chain: string;
  /** Whether most of the others have made something else of it. */
  readonly diverged: boolean;
  /** Its sinks by name, and what each does: `following` = this instance writes to it. */
  readonly sinks: Readonly<Record<string, string>>;
  /** How it finds the stream. */
  readonly stream: StreamHealth['type'];
  /** Why it is not up. */
  readonly reason?: string;
}

/** What the instance knows of itself; the rest is the stream's thread's. */
export type OwnState = Omit<InstanceState, 'stream' | 'reason'>;

/**
 * Those whose data another instance may take over, because the stream, which begins with `firstPosition`, has all
 * that comes behind: the soundest first. Nobody takes over what is of another stream, or what most hold for wrong.
 */
export function giversOf(
  instances: readonly InstanceState[],
  firstPosition: number,
): InstanceState[] {
  return instances
    .filter(({ position, stream, diverged }) => {
      const isSound = stream !== 'forked' && stream !== 'overtaken' && !diverged;
      return isSound && position + 1 >= firstPosition;
    })
    .sort(
      (a, b) =>
        Number(a.stream === 'down') - Number(b.stream === 'down') || b.position - a.position,
    );
}

/** The one who is asked last is given so long. */
const ANSWERS_MS = 1000;

/**
 * Asks all of them; resolves to what those say that answer in time, by host and process. Whoever needs only some of them
 * asks `'some'`: those that answer one soon after the other.
 */
export async function askInstances(
  connection: NatsConnection,
  subject: string,
  which: 'all' | 'some' = 'all',
): Promise<InstanceState[]> {
  const answers = await connection.requestMany(subject, undefined, {
    strategy: which === 'all' ? 'timer' : 'stall',
    maxWait: ANSWERS_MS,
  });
  const found: InstanceState[] = [];
  try {
    for await (const answer of answers) found.push(answer.json<InstanceState>());
  } catch (error) {
    const isNobodyThere = error instanceof errors.NoRespondersError;
    if (!isNobodyThere) throw error;
  }
  return found.sort((a, b) => a.host.localeCompare(b.host) || a.pid - b.pid);
}
