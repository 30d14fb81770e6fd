/**
 * Calls that fail now and then, and kill -9 amid that, again and again on one data folder: nothing
 * that was acknowledged is lost, nothing that was refused shows, and `verify` finds no damage.
 */
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { underStrace } from '../helpers/processes/strace.ts';
import { sum, VERDICT_MS_MAX } from './verdicts.ts';

const ENV = { MAX_MEMORY_USAGE: '16MB', WORKERS: '2', STORAGE_TIMEOUT: '1m' };

/** After the first eight calls of a thread, which belong to its start. */
const FAILURES: readonly { inject: string; found: string; times: number }[] = [
  { inject: 'fdatasync:error=EIO:when=9..12', found: 'fdatasync EIO', times: 4 },
  { inject: 'fdatasync:error=EIO:when=9+7', found: 'fdatasync EIO', times: 5 },
  { inject: 'pwrite64:error=EIO:when=9+7', found: 'pwrite64 EIO', times: 5 },
  { inject: 'pwrite64:error=ENOSPC:when=9+7', found: 'pwrite64 ENOSPC', times: 5 },
];

const seed = testSeed();

t.test(`a disk that fails now and then (seed ${seed})`, async (t) => {
  const random = new Random(seed);
  const cwd = tempDir(t);
  const ledger = new AckLedger();
  const tally: Tally = {};
  for (const { inject, found, times } of FAILURES) {
    const { under, trace } = underStrace(t, [inject]);
    const service = await ServiceProcess.start(t, { cwd, env: ENV, under });
    const port = await service.ready();
    t.strictSame(await faultsOf(ledger, port), [], `before ${inject}: all is as it must be`);

    let killAt = Number.POSITIVE_INFINITY;
    const writing = write({
      port,
      ledger,
      connections: 16,
      products: 3,
      eventsMax: 1_000_000,
      tally,
      onAcknowledged: () => {
        if (ledger.acknowledgements === killAt) service.kill('SIGKILL');
      },
    });
    const wasInjected = () => (trace.injected[found] ?? 0) >= times || undefined;
    await polled(wasInjected, VERDICT_MS_MAX, `${inject} to be injected ${times} times`);
    // An acknowledgement can overtake the thread's message that the storage is back.
    await service.logged('log: storage is available again');
    killAt = ledger.acknowledgements + 1 + random.below(300);
    await writing;
    t.strictSame(await service.exit(), { code: null, signal: 'SIGKILL' });
    t.comment('injected', trace.injected);
    t.strictSame(trace.usesAfterFailure, [], 'no segment is used after it failed');
    t.match(
      service.log.findLast(({ level }) => level === 50),
      { reason: /^(EIO|ENOSPC)/ },
    );
  }
  t.comment(tally);
  const others = Object.keys(tally).filter(
    (outcome) => /^\d/.test(outcome) && !/^(202|503 storage-unavailable)$/.test(outcome),
  );
  t.strictSame(others, [], 'nothing else was answered');
  t.ok(sum(tally, '202') > FAILURES.length, 'it was under load');

  const last = await ServiceProcess.start(t, { cwd, env: ENV });
  t.strictSame(await faultsOf(ledger, await last.ready()), [], 'after the last: the same');
  t.strictSame(await last.stop(), { code: 0, signal: null });
  const verify = ServiceProcess.spawn(t, { cwd, args: ['verify', 'data'] });
  t.strictSame(await verify.exit(), { code: 0, signal: null }, verify.stderr);
});
