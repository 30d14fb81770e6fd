/**
 * A replicated stream in memory, as bad as a real one may be while it still keeps its promise: messages are
 * lost, stored twice, stored late, overtake each other between writers, and what is in flight is dropped
 * when the leader changes; readers fall behind and catch up. What is stored stays, in one order. Tests only.
 */
import {
  CLUSTER_BYTES,
  KIND_GENESIS,
  PLAIN_HEAD,
  packMessage,
} from '../../../src/replication/message.ts';
import type { Delivered, StreamHealth, StreamPort } from '../../../src/replication/stream-port.ts';
import type { Random } from '../models/random.ts';

/** Chances, 0 … 1, of what may happen to one message. */
export interface StreamFaults {
  readonly lost: number;
  readonly twice: number;
  readonly late: number;
  /** A message comes, and a reader is not yet given it. */
  readonly slow: number;
}

export const NO_FAULTS: StreamFaults = { lost: 0, twice: 0, late: 0, slow: 0 };

interface Flying {
  readonly from: SimulatedPort;
  readonly bytes: Uint8Array;
}

export class SimulatedStream {
  readonly stored: Uint8Array[] = [];
  readonly #random: Random;
  faults: StreamFaults;
  /** On their way, those of one port in order. */
  #flying: Flying[] = [];

  constructor(random: Random, faults = NO_FAULTS) {
    this.#random = random;
    this.faults = faults;
  }

  port(ring?: () => void): SimulatedPort {
    return new SimulatedPort(this, ring);
  }

  sent(from: SimulatedPort, bytes: Uint8Array): void {
    const random = this.#random;
    const copy = bytes.slice();
    if (random.chance(this.faults.lost)) return;
    this.#flying.push({ from, bytes: copy });
    if (random.chance(this.faults.twice)) this.#flying.push({ from, bytes: copy });
    if (!random.chance(this.faults.late)) this.arrive();
  }

  /** All that is on its way is stored, writers in any order. */
  arrive(): void {
    while (this.#flying.length > 0) {
      const { from } = this.#random.pick(this.#flying);
      const at = this.#flying.findIndex((flying) => flying.from === from);
      const [{ bytes }] = this.#flying.splice(at, 1) as [Flying];
      this.stored.push(bytes);
    }
  }

  /** Another leader: what was on its way is lost. */
  changeLeader(): void {
    this.#flying = [];
  }

  isSlow(): boolean {
    return this.#random.chance(this.faults.slow);
  }
}

export class SimulatedPort implements StreamPort {
  readonly #stream: SimulatedStream;
  readonly #ring: (() => void) | undefined;
  /** What it says of itself; tests set it. */
  state: StreamHealth = { type: 'up' };
  sent = 0;
  #position = 0;

  constructor(stream: SimulatedStream, ring?: () => void) {
    this.#stream = stream;
    this.#ring = ring;
  }

  publish(message: Uint8Array): boolean {
    this.sent++;
    if (this.state.type !== 'up') return false;
    this.#stream.sent(this, message);
    this.#ring?.();
    return true;
  }

  take(): Delivered | undefined {
    const { type } = this.state;
    if ((type !== 'up' && type !== 'refusing') || this.#stream.isSlow()) return undefined;
    const bytes = this.#stream.stored[this.#position];
    if (bytes === undefined) return undefined;
    return { position: ++this.#position, bytes };
  }

  follow(position: number): void {
    this.#position = position;
  }

  health(): StreamHealth {
    return this.state;
  }

  get newest(): number {
    return this.#stream.stored.length;
  }
}

export const CLUSTER = Buffer.alloc(CLUSTER_BYTES, 7);

/** Puts the first message there. */
export function beginCluster(stream: SimulatedStream): void {
  const head = { ...PLAIN_HEAD, kind: KIND_GENESIS, cluster: CLUSTER, madeAtMs: 1 };
  stream.stored.push(packMessage(head, Buffer.from('{}')));
}
