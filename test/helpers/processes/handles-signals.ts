/** Waits until a process has put its signal handlers in place, of which SIGUSR2's comes last. Linux. */
import { readFileSync } from 'node:fs';
import { polled } from '../bounded.ts';

const SIGUSR2_BIT = 1n << 11n;
const WAIT_MS_MAX = 60_000;

export async function handlesSignals(pid: number): Promise<void> {
  const isSet = () => {
    const caught = /^SigCgt:\s+([0-9a-f]+)$/m.exec(
      readFileSync(`/proc/${pid}/status`, 'utf8'),
    )?.[1];
    return (BigInt(`0x${caught ?? '0'}`) & SIGUSR2_BIT) !== 0n || undefined;
  };
  await polled(isSet, WAIT_MS_MAX, `process ${pid} to handle signals`);
}
