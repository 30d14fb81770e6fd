/**
 * Runs one bench as a process of its own: prints the conditions, what was found, and hands the
 * report to run-all.ts where that started it. A bench that finds its result wrong throws: exit 1.
 */
import { conditions } from './conditions.ts';
import { formatReport, type Report } from './report.ts';

const EXIT_SIGNALLED = 130;

/** `smoke` sizes show in seconds that a bench works; their figures mean nothing. */
export type BenchSize = 'full' | 'smoke';

/** A signal ends the process as an exit does, so that servers and folders of the bench end with it. */
export function exitOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => process.exit(EXIT_SIGNALLED));
  }
}

/** Runs `bench` at the size that the command line asks for (`--smoke`). */
export async function runBench(bench: (size: BenchSize) => Promise<Report>): Promise<void> {
  exitOnSignals();
  const size: BenchSize = process.argv.includes('--smoke') ? 'smoke' : 'full';
  if (process.send === undefined) {
    for (const [name, text] of conditions()) console.log(`${name.padEnd(12)} ${text}`);
    if (size === 'smoke') console.log('smoke sizes: the figures mean nothing');
    console.log();
  }
  const report = await bench(size);
  console.log(formatReport(report));
  process.send?.(report);
}
