/**
 * The retail events split into separate updates of price and stock, in any order: they end in the
 * expected state, because each of the two keeps its own event time.
 */
import t from 'tap';
import type { ProductEvent } from '../../src/event/product-event.ts';
import type { SharedProductStore } from '../../src/store/shared-product-store.ts';
import { polled } from '../helpers/bounded.ts';
import { ApiClient, type EventBody } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { retailEvents, retailFinal } from '../helpers/models/retail-data.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { Pipeline } from '../helpers/threads/pipeline.ts';

const SEEDS = [1, 2];
const HTTP_SEED = 4;
const LANES = 48;
const APPLIED_MS_MAX = 60_000;

interface WriteRequest {
  readonly method: string;
  readonly path: string;
  readonly body: object;
}

const events = retailEvents();
const expected = retailFinal();

for (const seed of SEEDS) {
  t.test(`by the intake, seed ${seed}`, async (t) => {
    const pipeline = await Pipeline.start(t, { dataDir: tempDir(t) });
    const halves = events.flatMap(({ product_id, price, stock, occurred_at }): ProductEvent[] => {
      const common = { productId: product_id, occurredAtMs: Date.parse(String(occurred_at)) };
      return [
        { ...common, price, stock: undefined },
        { ...common, price: undefined, stock },
      ];
    });
    await inLanes(new Random(seed).shuffled(halves), (event) => pipeline.send(event));
    const isApplied = pipeline.mark();
    const applied = () => (isApplied() ? true : undefined);
    await polled(applied, APPLIED_MS_MAX, 'the appliers');
    t.strictSame(differences(pipeline.path.store), []);
  });
}

t.test(`over HTTP, every other event whole, seed ${HTTP_SEED}`, async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const client = new ApiClient(port, LANES);
  t.teardown(() => client.close());
  const requests = events.flatMap((event, n) => (n % 2 === 0 ? [post(event)] : patches(event)));
  const statuses = new Set<number>();
  await inLanes(new Random(HTTP_SEED).shuffled(requests), async ({ method, path, body }) => {
    statuses.add((await client.send(method, path, JSON.stringify(body))).status);
  });
  t.strictSame([...statuses], [202]);
  await client.allApplied();
  t.strictSame(differences(service.path.store), []);
});

function post(body: EventBody): WriteRequest {
  return { method: 'POST', path: '/api/v1/events', body };
}

function patches({ product_id, price, stock, occurred_at }: EventBody): WriteRequest[] {
  const patch = { method: 'PATCH', path: `/api/v1/products/${encodeURIComponent(product_id)}` };
  return [
    { ...patch, body: { price, occurred_at } },
    { ...patch, body: { stock, occurred_at } },
  ];
}

/** Sends all, some at a time, in this order as far as their answers allow. */
async function inLanes<T>(items: readonly T[], send: (item: T) => Promise<unknown>): Promise<void> {
  let next = 0;
  const lane = async () => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await send(item);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
}

/** Products that are not as expected. */
function differences(store: SharedProductStore): string[] {
  return expected.flatMap((wanted) => {
    const result = store.read(wanted.id);
    const { price, stock } = store.state;
    const isRight = result === 'found' && price === wanted.price && stock === wanted.stock;
    return isRight ? [] : [`${result} ${price} ${stock} instead of ${JSON.stringify(wanted)}`];
  });
}
