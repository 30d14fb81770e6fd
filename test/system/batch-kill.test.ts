/**
 * `kill -9` in the middle of a large batch, beside single writes. What docs/batches.md promises: what
 * was answered is there; of the batch, nothing or its first part is; the same batch under the same
 * key completes it, and every event is there once. By hand: `ROUNDS=100 npx tap -t0 <this file>`.
 */
import { join } from 'node:path';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import type { EventBody } from '../helpers/clients/api-client.ts';
import { type BatchAnswered, openBatch, sendBatch } from '../helpers/clients/batch-client.ts';
import { faultsOf, write } from '../helpers/clients/writers.ts';
import { recovered } from '../helpers/disks/log-life.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ProductModel } from '../helpers/models/product-model.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const ROUNDS = Number(process.env.ROUNDS ?? 4);
/** As many more at the most, until one was killed in the middle of its batch. */
const MORE_ROUNDS = 10;
const WAIT_MS_MAX = 60_000;
const LARGE = 12_000;
const SMALL = 200;
const PRODUCTS = 500;
const FAULTY = '{"product_id":"batch-x","price":-1,"stock":1}';
/** So few in flight that a batch takes hundreds of flushes. */
const ENV = {
  MAX_MEMORY_USAGE: '16MB',
  WORKERS: '2',
  SHARDS: '4',
  SEGMENT_SIZE: '1MB',
  BULK_QUEUE_SIZE: '64',
};
const seed = testSeed();
const random = new Random(seed);

/** Knows, beside what was acknowledged, how far the log has come. */
class SeqLedger extends AckLedger {
  seq = 0;

  override acknowledged(event: EventBody, seq: number): void {
    super.acknowledged(event, seq);
    this.seq = Math.max(this.seq, seq);
  }
}

interface TestBatch {
  readonly body: string;
  readonly events: readonly Required<EventBody>[];
  readonly options: { readonly query: string; readonly headers: Record<string, string> };
  readonly rejected: number;
}

let batches = 0;
/** Every event of a batch has a price of its own, one more than that of the event before. */
let prices = 0;

function makeBatch(count: number, isStream: boolean): TestBatch {
  const lines: string[] = [];
  const events: Required<EventBody>[] = [];
  let rejected = 0;
  for (let n = 0; n < count; n++) {
    if (isStream && random.chance(0.01)) {
      lines.push(FAULTY);
      rejected++;
    }
    const price = prices++;
    const event = {
      product_id: `batch-${random.below(PRODUCTS)}`,
      price,
      stock: random.below(1000),
      occurred_at: 1_700_000_000_000 + price * 10 - (random.chance(0.3) ? random.below(50_000) : 0),
    };
    events.push(event);
    lines.push(JSON.stringify(event));
  }
  const query = `?ack=applied&on_error=${isStream ? 'continue' : 'reject'}`;
  const headers = { 'idempotency-key': `batch-${++batches}` };
  return { body: `${lines.join('\n')}\n`, events, options: { query, headers }, rejected };
}

function takeInto(model: ProductModel, events: readonly Required<EventBody>[]): void {
  for (const { product_id: productId, price, stock, occurred_at } of events) {
    model.apply({ seq: 1, productId, price, stock, occurredAtMs: Number(occurred_at) }, 0);
  }
}

/** The products of batches, as the service or the model has them. */
async function found(port: number): Promise<string[]> {
  const headers = { accept: 'application/x-ndjson' };
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/products`, { headers });
  const lines = (await response.text()).split('\n');
  return lines.filter((line) => line.includes('"batch-')).sort();
}

function expectedOf(model: ProductModel): string[] {
  return [...model.products]
    .map(([id, { price, stock }]) => JSON.stringify({ id, price, stock }))
    .sort();
}

const counts = ({ body }: BatchAnswered) => ({
  events: body.accepted + body.duplicates,
  rejected: body.rejected,
  dead: body.dead,
});

t.test(`killed ${ROUNDS} times in a batch (seed ${seed})`, async (t) => {
  const cwd = tempDir(t);
  const ledger = new SeqLedger();
  const model = new ProductModel();
  const inTheLog: number[] = [];
  const parts: number[] = [];
  let service = await ServiceProcess.start(t, { cwd, env: ENV });
  const isInTheMiddle = (part: number) => part > 0 && part < LARGE;
  const isOver = (round: number) =>
    round > ROUNDS + MORE_ROUNDS || (round > ROUNDS && parts.some(isInTheMiddle));
  for (let round = 1; !isOver(round); round++) {
    const isStream = round % 2 === 0;
    const here = `round ${round}, ${isStream ? 'continue' : 'reject'}`;
    const port = await service.ready();
    const known = makeBatch(SMALL, isStream);
    const first = await sendBatch(port, known.body, known.options);
    t.strictSame(counts(first), { events: SMALL, rejected: known.rejected, dead: undefined });
    takeInto(model, known.events);

    const killed = makeBatch(LARGE, isStream);
    const killAt = (first.body.last_seq ?? 0) + random.integer(LARGE / 20, LARGE / 2);
    const onAcknowledged = () => {
      if (ledger.seq >= killAt) service.kill('SIGKILL');
    };
    const load = { port, ledger, connections: 4, products: 5, eventsMax: 1_000_000 };
    const [answer] = await Promise.all([
      sendBatch(port, killed.body, killed.options).catch(() => undefined),
      write({ ...load, onAcknowledged }),
    ]);
    t.strictSame(await service.exit(), { code: null, signal: 'SIGKILL' }, here);

    service = await ServiceProcess.start(t, { cwd, env: ENV });
    const portNow = await service.ready();
    t.strictSame(await faultsOf(ledger, portNow), [], `${here}: single writes`);
    const afterKill = await found(portNow);
    const again = await sendBatch(portNow, killed.body, killed.options);
    const part = again.body.duplicates;
    t.strictSame(counts(again), { events: LARGE, rejected: killed.rejected, dead: undefined });
    t.ok(answer === undefined || part === LARGE, `${here}: what was answered is known`);
    takeInto(model, killed.events.slice(0, part));
    t.strictSame(afterKill, expectedOf(model), `${here}: it began with the first ${part} events`);
    takeInto(model, killed.events.slice(part));
    t.strictSame(await found(portNow), expectedOf(model), `${here}: completed`);
    const third = await sendBatch(portNow, killed.body, killed.options);
    t.match(third.body, { accepted: 0, duplicates: LARGE }, `${here}: nothing is new`);
    for (const { events } of [known, killed]) inTheLog.push(...events.map(({ price }) => price));
    parts.push(part);
  }
  t.ok(parts.some(isInTheMiddle), `some were killed in the middle: ${parts}`);
  t.strictSame(await service.stop(), { code: 0, signal: null });
  const verify = ServiceProcess.spawn(t, { cwd, args: ['verify', 'data'] });
  t.strictSame(await verify.exit(), { code: 0, signal: null }, verify.stderr);

  const { events } = recovered(join(cwd, 'data'));
  const ofBatches = events.filter(({ productId }) => productId.startsWith('batch-'));
  t.equal(ofBatches.length, inTheLog.length);
  const misplaced = ofBatches.filter(({ price }, i) => price !== inTheLog[i]);
  t.strictSame(misplaced, [], 'every event is in the log once, in the order of its batch');
});

t.test('killed in a batch, and forgotten before it comes again: it is refused whole', async (t) => {
  const cwd = tempDir(t);
  const env = { ...ENV, DEDUPE_WINDOW: '1000' };
  const killed = makeBatch(LARGE, true);
  let service = await ServiceProcess.start(t, { cwd, env });
  const port = await service.ready();
  const isThere = async () => {
    const asked = await fetch(`http://127.0.0.1:${port}/api/v1/events/${LARGE / 4}`);
    await asked.arrayBuffer();
    return asked.status === 200 || undefined;
  };
  // Its other half never comes, so that it can't be through.
  const open = openBatch(port, killed.options);
  open.call.write(killed.body.slice(0, killed.body.length / 2));
  await polled(isThere, WAIT_MS_MAX, 'a part of it to be durable');
  service.kill('SIGKILL');
  await t.rejects(open.answered);
  t.strictSame(await service.exit(), { code: null, signal: 'SIGKILL' });

  service = await ServiceProcess.start(t, { cwd, env: { ...env, BULK_QUEUE_SIZE: '8192' } });
  const portNow = await service.ready();
  // More keyed events than the window has room for, the frame in hand included.
  for (let n = 0; n < 2; n++) {
    const others = makeBatch(9000, true);
    t.equal((await sendBatch(portNow, others.body, others.options)).body.accepted, 9000);
  }
  const before = await found(portNow);
  for (const query of ['?on_error=reject', '?on_error=continue']) {
    const again = await sendBatch(portNow, killed.body, { ...killed.options, query });
    t.equal(again.status, 409);
    t.match(again.body, { code: 'idempotency-expired', outcome: 'none' });
  }
  t.strictSame(await found(portNow), before, 'nothing of it was taken');
  t.strictSame(await service.stop(), { code: 0, signal: null });
});
