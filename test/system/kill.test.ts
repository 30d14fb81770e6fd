/** `kill -9` under load, again and again on one data folder: whatever was acknowledged is there. */
import t from 'tap';
import { AckLedger } from '../helpers/ack-ledger.ts';
import { Random, testSeed } from '../helpers/random.ts';
import { ServiceProcess } from '../helpers/service-process.ts';
import { tempDir } from '../helpers/temp-dir.ts';
import { faultsOf, write } from '../helpers/writers.ts';

const ROUNDS = 10;
const CONNECTIONS = 40;
const EVENTS_MAX = 2_000;

const seed = testSeed();

t.test(
  `a process killed under load loses nothing that it acknowledged (seed ${seed})`,
  async (t) => {
    const random = new Random(seed);
    const cwd = tempDir(t);
    const ledger = new AckLedger();

    for (let round = 1; round <= ROUNDS; round++) {
      const service = await ServiceProcess.start(t, { cwd });
      const port = await service.ready();
      t.strictSame(
        await faultsOf(ledger, port),
        [],
        `round ${round}: every product is as it must be`,
      );
      const killAt = ledger.acknowledgements + 1 + random.below(2_500);
      const tally = await write({
        port,
        ledger,
        connections: CONNECTIONS,
        products: 5,
        eventsMax: EVENTS_MAX,
        onAcknowledged: () => {
          if (ledger.acknowledgements === killAt) service.kill('SIGKILL');
        },
      });
      t.strictSame(await service.exit(), { code: null, signal: 'SIGKILL' });
      const broken = Object.keys(tally).filter((outcome) => !/^\d/.test(outcome));
      t.ok(broken.length > 0, `it was under load: ${JSON.stringify(tally)}`);
      t.ok(ledger.acknowledgements >= killAt, 'it was killed in the middle');
    }

    const last = await ServiceProcess.start(t, { cwd });
    t.strictSame(await faultsOf(ledger, await last.ready()), [], 'after the last: the same');
    t.strictSame(await last.stop(), { code: 0, signal: null }, 'and it stops cleanly');
  },
);
