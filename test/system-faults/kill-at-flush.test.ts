/**
 * The process is killed in its Nth flush, for every N up to 8, the odd ones on one data folder and
 * the even ones on another: first while it makes the log, then while it opens it again, then in the
 * batches of its load.
 */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { errorCode } from '../helpers/clients/api-client.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { underStrace } from '../helpers/processes/strace.ts';
import { sum } from './verdicts.ts';

const ENV = { MAX_MEMORY_USAGE: '16MB', WORKERS: '2' };
const FLUSHES = 8;
/** From this one on, the start is over. */
const FLUSHES_AT_START = 5;
const WAIT_MS_MAX = 60_000;

t.test(`SIGKILL at each of the first ${FLUSHES} flushes`, async (t) => {
  // Both at a time: most of it is starting processes.
  const acknowledged = await Promise.all([killAtEvery(t, 1), killAtEvery(t, 2)]);
  // How many requests share a flush is the machine's luck.
  t.ok(acknowledged[0] + acknowledged[1] > 0, 'there was something to lose');
});

/** Kills at every second flush from `first` on. How many requests were acknowledged in all. */
async function killAtEvery(t: Test, first: number): Promise<number> {
  const cwd = tempDir(t);
  const ledger = new AckLedger();
  const tally: Tally = {};
  for (let n = first; n <= FLUSHES; n += 2) {
    const { under, trace } = underStrace(t, [`fdatasync:signal=SIGKILL:when=${n}`]);
    const service = ServiceProcess.spawn(t, { cwd, env: ENV, under });
    const port = await service.ready().catch((error: Error) => {
      if (n < FLUSHES_AT_START) return undefined;
      throw error;
    });
    if (port !== undefined) {
      const faults = await faultsOf(ledger, port).catch((error: unknown) => {
        if (!/^E[A-Z]+\b/.test(errorCode(error))) throw error;
        return []; // killed while they were read
      });
      t.strictSame(faults, [], `before flush ${n}: all is as it must be`);
      await write({ port, ledger, connections: 16, products: 3, eventsMax: 1_000_000, tally });
    }
    t.strictSame(await service.exit(), { code: null, signal: 'SIGKILL' }, `killed at flush ${n}`);
    // strace writes its last line when the process is gone.
    const isWritten = () => trace.callsOfBusiest('fdatasync') >= n || undefined;
    await polled(isWritten, WAIT_MS_MAX, `flush ${n} in the trace`);
    t.equal(trace.callsOfBusiest('fdatasync'), n, 'no sooner, no later', { trace: trace.lines });
  }
  t.comment(tally);

  const last = await ServiceProcess.start(t, { cwd, env: ENV });
  t.strictSame(await faultsOf(ledger, await last.ready()), [], 'after the last: the same');
  t.strictSame(await last.stop(), { code: 0, signal: null });
  const verify = ServiceProcess.spawn(t, { cwd, args: ['verify', 'data'] });
  t.strictSame(await verify.exit(), { code: 0, signal: null }, verify.stderr);
  return sum(tally, '202');
}
