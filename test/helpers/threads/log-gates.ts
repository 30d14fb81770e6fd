/** The gates of `gated-log.ts` and its switch, handed to every thread that is started after `installGates`. */
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
  /** Word 0: 1 = every flush of a file fails, behind the gate. */
  readonly flushFails: Int32Array;
}

/** Makes two open gates and a switch that is off, for the next service of this process. */
export function installGates(): LogGates {
  const flushFails = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  setEnvironmentData(KEY, [new Gate().buffer, new Gate().buffer, flushFails]);
  return receivedGates();
}

/** The gates in a thread. */
export function receivedGates(): LogGates {
  const [flush, read, fails] = getEnvironmentData(KEY) as unknown as [
    SharedArrayBuffer,
    SharedArrayBuffer,
    SharedArrayBuffer,
  ];
  return { flush: new Gate(flush), read: new Gate(read), flushFails: new Int32Array(fails) };
}
