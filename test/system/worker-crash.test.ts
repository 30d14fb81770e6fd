/** Threads that die under load: the service goes on answering and nothing acknowledged is lost. */
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { ApiClient, type EventBody } from '../helpers/clients/api-client.ts';
import { faultsOf, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import {
  DEADLY_ALWAYS,
  DEADLY_APPLIER,
  DEADLY_ONCE,
  installDeaths,
} from '../helpers/threads/deadly-prices.ts';
import { ServiceThreads } from '../helpers/threads/service-threads.ts';

const VISIBLE_MS_MAX = 60_000;
const KILL_EVERY = 200;
const KILLS = 6;

/** Kills a log thread. */
const killLog = (threads: ServiceThreads) => threads.killLog();

/** Kills an applier, and the thread that takes its place while that starts. */
async function killAppliers(threads: ServiceThreads): Promise<void> {
  await threads.killApplier(0);
  await threads.killApplier(-1);
}

for (const [victim, kill] of Object.entries({ 'log thread': killLog, applier: killAppliers })) {
  t.test(`${victim} killed ${KILLS} times under load`, async (t) => {
    const env = { DATA_DIR: tempDir(t) };
    const threads = new ServiceThreads(t);
    const { service, port, logged } = await startReadyService(t, env);
    const { appliers, watermark, progress } = service.path;
    const ledger = new AckLedger();
    const kills: Promise<void>[] = [];
    let nextKillAt = KILL_EVERY;
    let seqAtKill = 0;
    const tally = await write({
      port,
      ledger,
      connections: 32,
      products: 5,
      eventsMax: 10_000,
      isOver: () => kills.length === KILLS && ledger.acknowledgements >= nextKillAt,
      onAcknowledged: () => {
        // Only once they have got over the last one.
        if (kills.length === KILLS || watermark.seq + 1 < seqAtKill) return;
        if (ledger.acknowledgements < nextKillAt) return;
        nextKillAt = ledger.acknowledgements + KILL_EVERY;
        seqAtKill = progress.loadNextSeq();
        kills.push(kill(threads));
      },
    });
    await Promise.all(kills);
    t.comment(`${ledger.acknowledgements} acknowledged`);
    t.equal(kills.length, KILLS, 'it was killed as often as that');
    t.strictSame(Object.keys(tally), ['202'], 'every event was acknowledged all the same');
    const died = logged.filter(({ msg }) => /(applier|thread) died/.test(msg)).length;
    t.ok(died >= KILLS, `${died} deaths are logged`);

    const client = new ApiClient(port);
    t.teardown(() => client.close());
    await client.allApplied();
    t.equal(appliers.deadCount, 0, 'no event is dead');
    t.strictSame(await faultsOf(ledger, port), [], 'every acknowledged event is there');
    t.equal(await service.stop(), true, 'it stops cleanly');

    const again = await startReadyService(t, env);
    t.strictSame(await faultsOf(ledger, again.port), [], 'and after a restart too');
  });
}

t.test('an event that its applier dies of', async (t) => {
  const env = { DATA_DIR: tempDir(t) };
  const deaths = installDeaths();
  const { service, port, logged } = await startReadyService(t, env, {
    threads: { applier: DEADLY_APPLIER },
  });
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const post = async (event: EventBody) => {
    t.equal((await client.post(event)).status, 202, `${event.product_id} at ${event.price}`);
  };
  await post({ product_id: 'once', price: DEADLY_ONCE, stock: 1 });
  await client.visible('once', DEADLY_ONCE);
  t.equal(deaths(), 1, 'the applier died of it once');
  t.equal(service.path.appliers.deadCount, 0, 'and was only started again');

  await post({ product_id: 'always', price: 1, stock: 1 });
  await post({ product_id: 'always', price: DEADLY_ALWAYS, stock: 2 });
  // Products of all shards, so that the dead applier's are among them.
  const others = Array.from({ length: 40 }, (_, n) => `other ${n}`);
  for (const id of others) await post({ product_id: id, price: 2, stock: 2 });
  for (const id of others) await client.visible(id, 2);
  await polled(
    () => (service.path.appliers.deadCount > 0 ? true : undefined),
    VISIBLE_MS_MAX,
    'the event to be dead',
  );
  t.equal(deaths(), 3, 'the applier died of the other twice');
  t.equal(service.path.appliers.deadCount, 1);
  t.match(service.path.appliers.deadEvents, [
    { productId: 'always', price: DEADLY_ALWAYS, stock: 2 },
  ]);
  t.match(
    logged.find(({ msg }) => msg.startsWith('event dead')),
    { event: { productId: 'always', price: DEADLY_ALWAYS, stock: 2 } },
    'and logged with its content',
  );
  t.match(await client.product('always'), { price: 1, stock: 1 }, 'the state before it stands');
  await post({ product_id: 'always', price: 3, stock: 3 });
  await client.visible('always', 3);
  t.equal(await service.stop(), true, 'it stops cleanly');
});
