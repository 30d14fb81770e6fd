/** The gate of `gated-applier.ts`, handed to every thread that is started after `installApplierGate`. */
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { Gate } from './gate.ts';

const KEY = 'test.applier-gate';

/** The applier to start a service with: `threads: { applier: GATED_APPLIER }`. */
export const GATED_APPLIER = new URL('./gated-applier.ts', import.meta.url);
/** Events with it wait at the gate. */
export const GATED_PRICE = 77.77;

/** Makes an open gate for the next service of this process. */
export function installApplierGate(): Gate {
  setEnvironmentData(KEY, new Gate().buffer);
  return receivedGate();
}

/** The gate in a thread. */
export function receivedGate(): Gate {
  return new Gate(getEnvironmentData(KEY) as unknown as SharedArrayBuffer);
}
