/** The two gates of `gated-log.ts`, handed to every thread that is started after `installGates`. */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { Gate } from './gate.ts';

const KEY = 'test.log-gates';

/** The log thread to start a service with: `threads: { log: GATED_LOG }`. */
export const GATED_LOG = new URL('./gated-log.ts', import.meta.url);

export interface LogGates {
  /** Before every flush of a file. */
  readonly flush: Gate;
  /** Before a file is opened for reading, as replay does. */
  readonly read: Gate;
}

/** Makes two open gates for the next service of this process. */
export function installGates(): LogGates {
  const gates = { flush: new Gate(), read: new Gate() };
  setEnvironmentData(KEY, [gates.flush.buffer, gates.read.buffer]);
  return gates;
}

/** The gates in a thread. */
export function receivedGates(): LogGates {
  const [flush, read] = getEnvironmentData(KEY) as unknown as SharedArrayBuffer[];
  return { flush: new Gate(flush), read: new Gate(read) };
}
