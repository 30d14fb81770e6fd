/**
 * SIGTERM under load. Allowed for a request: an answer, or no connection at all (ECONNREFUSED).
 * Forbidden: a reset or a hang-up of one in flight, an acknowledgement that a restart doesn't know,
 * a refusal that a restart does know, an exit code other than 0.
 */
import t, { type Test } from 'tap';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { read } from '../helpers/clients/readers.ts';
import { faultsOf, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const WRITERS = 48;
const READERS = 8;
/** More than there is time for, however slow the disk is. */
const REQUESTS_MAX = 10_000_000;

for (const [signal, rounds, threads] of [
  ['SIGTERM', 3, '1'],
  ['SIGINT', 1, '1'],
  ['SIGTERM', 2, '3'],
] as const) {
  const seed = testSeed();
  t.test(`${signal} under load, HTTP threads: ${threads} (seed ${seed})`, async (t) => {
    const random = new Random(seed);
    const cwd = tempDir(t);
    const ledger = new AckLedger();
    for (let round = 1; round <= rounds; round++)
      await stopOnce(t, { cwd, ledger, random, signal, threads });
    const last = await ServiceProcess.start(t, { cwd });
    t.strictSame(
      await faultsOf(ledger, await last.ready()),
      [],
      'every acknowledged event is there',
    );
    t.strictSame(await last.stop(), { code: 0, signal: null });
  });
}

interface Stop {
  readonly cwd: string;
  readonly ledger: AckLedger;
  readonly random: Random;
  readonly signal: NodeJS.Signals;
  /** HTTP_THREADS */
  readonly threads: string;
}

async function stopOnce(t: Test, { cwd, ledger, random, signal, threads }: Stop): Promise<void> {
  // Nobody else gets it when the service has gone, and its clients still knock.
  const port = await freePort();
  const env = { HTTP_THREADS: threads, PORT: String(port) };
  const service = await ServiceProcess.start(t, { cwd, env });
  t.strictSame(await faultsOf(ledger, port), [], 'every acknowledged event is there');

  const stopAt = ledger.acknowledgements + 200 + random.below(1_800);
  const writing = write({
    port,
    ledger,
    connections: WRITERS,
    products: 5,
    eventsMax: REQUESTS_MAX,
    onAcknowledged: () => {
      if (ledger.acknowledgements === stopAt) service.kill(signal);
    },
  });
  const reading = read({ port, connections: READERS, readsMax: REQUESTS_MAX });
  const [writes, reads] = await Promise.all([writing, reading]);

  t.strictSame(await service.exit(), { code: 0, signal: null }, 'it exits cleanly');
  t.equal(service.stderr, '', 'and says nothing on stderr');
  t.comment(`${ledger.acknowledgements - stopAt} after the signal`, writes, reads);
  t.ok(ledger.acknowledgements >= stopAt, 'it was stopped in the middle');
  t.strictSame(
    Object.keys(writes).filter(
      (outcome) => !['202', '503 stopping', 'ECONNREFUSED'].includes(outcome),
    ),
    [],
    'each write was acknowledged, refused as stopping, or met no one',
  );
  t.equal(writes.ECONNREFUSED, WRITERS, 'every writer went on until the door was closed');
  t.strictSame(
    Object.keys(reads).filter((outcome) => !['200', '404', 'ECONNREFUSED'].includes(outcome)),
    [],
    'each read was answered or met no one',
  );
  t.equal(reads.ECONNREFUSED, READERS, 'every reader went on until the door was closed');
}
