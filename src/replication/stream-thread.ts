/** The stream's thread from start to end. */
import { hostname } from 'node:os';
import { IntakeRing } from '../ring/intake-ring.ts';
import type { SharedMemory } from '../threads/shared-memory.ts';
import type { namesOf } from './cluster-settings.ts';
import type { NatsSettings } from './nats-connection.ts';
import { StreamClient } from './stream-client.ts';
import { StreamEnd, type StreamMemory } from './stream-memory.ts';

/** What it is started with; survives structured cloning. */
export interface StreamThreadData {
  readonly memory: SharedMemory;
  readonly stream: StreamMemory;
  readonly nats: NatsSettings;
  readonly names: ReturnType<typeof namesOf>;
}

/** Starts it; it runs until it is ended from outside. */
export function runStreamThread({ memory, stream, nats, names }: StreamThreadData): void {
  const end = new StreamEnd(stream, new IntakeRing(memory.intake));
  const name = `product-service ${hostname()} ${process.pid}`;
  new StreamClient({ nats, names, name, end }).start();
}
