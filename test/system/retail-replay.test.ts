/** 20,000 real events over HTTP end in the expected state, in order or shuffled, and after a restart. */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, type EventBody, seqOf } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { retailEvents, retailFinal } from '../helpers/models/retail-data.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const CONNECTIONS = 48;
const VISIBLE_MS_MAX = 60_000;

const events = retailEvents();
const expected = retailFinal();

t.equal(events.length, 20_000, 'all events are there');

t.test('in event time', async (t) => {
  await deliver(t, events);
});

const seed = testSeed();
t.test(`in shuffled order (seed ${seed})`, async (t) => {
  await deliver(t, shuffled(events, new Random(seed)));
});

async function deliver(t: Test, ordered: readonly EventBody[]): Promise<void> {
  const cwd = tempDir(t);
  const first = await ServiceProcess.start(t, { cwd });
  const client = new ApiClient(await first.ready(), CONNECTIONS);
  t.teardown(() => client.close());

  t.strictSame(await postAll(client, ordered), { 202: events.length }, 'all are acknowledged');
  // What is refused changes nothing: the two events of this product in the full year are like it.
  const refused = await client.post({ product_id: '85123A', price: -11062.06, stock: 11 });
  t.equal(refused.status, 400, 'a negative price is refused');
  // Durable is a moment before applied, so the state is asked for until it is there.
  let wrong: string[] = [];
  const settled = async () => {
    wrong = await differences(client);
    return wrong.length === 0 ? true : undefined;
  };
  await polled(settled, VISIBLE_MS_MAX, 'the expected state').catch(() => undefined);
  t.strictSame(wrong, [], 'every product has its expected state');
  t.strictSame(await first.stop(), { code: 0, signal: null });

  const second = await ServiceProcess.start(t, { cwd });
  const after = new ApiClient(await second.ready(), CONNECTIONS);
  t.teardown(() => after.close());
  t.strictSame(await differences(after), [], 'every product is as it was after the restart');
  const next = await after.post({ product_id: 'next', price: 1, stock: 1 });
  t.equal(seqOf(next), events.length + 1, 'the log holds every accepted event and no other');
  t.strictSame(await second.stop(), { code: 0, signal: null });
}

/** Posts them with as many at a time as there are connections; counts the answers by status. */
async function postAll(client: ApiClient, ordered: readonly EventBody[]) {
  const counts: Record<number, number> = {};
  let next = 0;
  const lane = async () => {
    for (let event = ordered[next++]; event !== undefined; event = ordered[next++]) {
      const { status } = await client.post(event);
      counts[status] = (counts[status] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, lane));
  return counts;
}

/** Products that are not as expected. */
async function differences(client: ApiClient): Promise<string[]> {
  const found = await Promise.all(
    expected.map(async (wanted) => {
      const product = await client.product(wanted.id);
      const isRight = product?.price === wanted.price && product.stock === wanted.stock;
      return isRight ? [] : [`${JSON.stringify(product)} instead of ${JSON.stringify(wanted)}`];
    }),
  );
  return found.flat();
}

/** A copy in random order (Fisher–Yates). */
function shuffled<T>(items: readonly T[], random: Random): T[] {
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [copy[i], copy[j]] = [copy[j], copy[i]];
  }
  return copy;
}
