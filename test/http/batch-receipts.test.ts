/**
 * A batch under an Idempotency-Key that is longer than the dedupe window: its repetition is known all
 * the same, goes on where the first ended, or is refused before its first event.
 */
import t, { type Test } from 'tap';
import { RECEIPT_EVENTS } from '../../src/dedupe/batch-receipt.ts';
import {
  type BatchAnswered,
  type BatchOptions,
  line,
  lines,
  openBatch,
  sendBatch,
} from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

/** The window that it makes has 16,384 keys; a batch of these is longer. */
const ENV = { DEDUPE_WINDOW: '1000', MAX_MEMORY_USAGE: '16MB', SHARDS: '2', WORKERS: '1' };
const LONG = 20_000;
const FAULTY = '{"product_id":"x","price":-1,"stock":1}\n';

const asked = (onError: string, key: string, ack = 'applied'): BatchOptions => ({
  query: `?on_error=${onError}&ack=${ack}`,
  headers: { 'idempotency-key': key },
});
const counts = ({ body }: BatchAnswered) => [body.accepted, body.rejected, body.duplicates];
const seqs = ({ body }: BatchAnswered) => [body.first_seq, body.last_seq];

async function start(t: Test, dataDir = tempDir(t)) {
  const { service, port } = await startReadyService(t, { DATA_DIR: dataDir, ...ENV });
  return { service, port, dataDir };
}

async function priceOf(port: number, id: string): Promise<number | undefined> {
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/products/${id}`);
  return ((await response.json()) as { price?: number }).price;
}

async function correct(port: number, id: string, price: number): Promise<void> {
  const answer = await sendBatch(port, line(id, price), { query: '?ack=applied' });
  if (answer.status !== 200) throw new Error(`${answer.status}`);
}

/** More keyed events than the window holds. */
async function forgetKeys(port: number): Promise<void> {
  for (const key of ['others-1', 'others-2']) {
    const answer = await sendBatch(port, lines(10_000), asked('continue', key, 'durable'));
    if (answer.body.accepted !== 10_000) throw new Error(JSON.stringify(answer.body));
  }
}

/** Resolves once the event of this number is in the log. */
async function logged(port: number, seq: number): Promise<void> {
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/events/${seq}`);
    await response.arrayBuffer();
    if (response.status === 200) return;
  }
}

/** Sends a stream and breaks the connection once `events` of it are in the log. */
async function sendCut(port: number, body: string, events: number, options: BatchOptions) {
  const { call, answered } = openBatch(port, options);
  call.write(body);
  await logged(port, events);
  call.destroy();
  await answered.catch(() => undefined);
}

for (const onError of ['reject', 'continue']) {
  t.test(`${onError}: ${LONG} events again change nothing, after a restart neither`, async (t) => {
    const { service, port, dataDir } = await start(t);
    const body = lines(LONG);
    const first = await sendBatch(port, body, asked(onError, 'long'));
    t.strictSame(counts(first), [LONG, 0, 0]);
    await correct(port, 'p7', 99.5);
    const again = await sendBatch(port, body, asked(onError, 'long'));
    t.equal(again.status, 200);
    t.equal(again.headers['idempotency-replayed'], 'true');
    t.strictSame(counts(again), [0, 0, LONG]);
    t.strictSame(seqs(again), seqs(first));
    t.equal(await priceOf(port, 'p7'), 99.5);
    for (const other of [lines(LONG + 1), lines(LONG - 1), lines(LONG, 1)]) {
      const answer = await sendBatch(port, other, asked(onError, 'long'));
      t.match(answer.body, { code: 'idempotency-conflict', outcome: 'none' });
    }
    await service.stop();

    const later = await start(t, dataDir);
    const third = await sendBatch(later.port, body, asked(onError, 'long'));
    t.strictSame([...counts(third), ...seqs(third)], [...counts(again), ...seqs(first)]);
    t.equal(await priceOf(later.port, 'p7'), 99.5);
    await later.service.stop();
  });
}

t.test('a stream cut half way goes on where it ended, whatever came since', async (t) => {
  const { service, port, dataDir } = await start(t);
  const body = FAULTY + lines(LONG);
  const events = body.split('\n');
  await sendCut(
    port,
    `${events.slice(0, 15_000).join('\n')}\n{"prod`,
    14_000,
    asked('continue', 'cut'),
  );
  await forgetKeys(port);
  await correct(port, 'p7', 99.5);
  // A body that begins otherwise is another one; so is one that ends before the place.
  for (const other of [body.replace('p5"', 'q5"'), lines(5000)]) {
    const answer = await sendBatch(port, other, asked('continue', 'cut'));
    t.match(answer.body, { code: 'idempotency-conflict', outcome: 'none' });
  }
  await service.stop();

  const later = await start(t, dataDir);
  const rest = await sendBatch(later.port, body, asked('continue', 'cut'));
  t.equal(rest.status, 207);
  t.match(rest.body, { rejected: 1, errors: [{ line: 1, pointer: '/price' }] });
  t.equal(rest.body.accepted + rest.body.duplicates, LONG);
  t.ok(rest.body.duplicates >= 13_000 && rest.body.duplicates < 15_000, `${rest.body.duplicates}`);
  t.equal(await priceOf(later.port, 'p7'), 99.5, 'taken before, and not again');
  t.equal(await priceOf(later.port, `p${LONG - 1}`), LONG - 1);
  const again = await sendBatch(later.port, body, asked('continue', 'cut'));
  t.equal(again.headers['idempotency-replayed'], 'true');
  t.strictSame([again.status, ...counts(again)], [207, 0, 1, LONG]);
  t.strictSame(seqs(again), seqs(rest));
  await later.service.stop();
});

t.test('one key, one request at a time; a single event has another', async (t) => {
  const { service, port } = await start(t);
  const { call, answered } = openBatch(port, asked('continue', 'slow'));
  call.write(lines(RECEIPT_EVENTS));
  await logged(port, 2);
  const second = await sendBatch(port, lines(3), asked('reject', 'slow'));
  t.equal(second.status, 409);
  t.equal(second.headers['retry-after'], '1');
  t.match(second.body, { code: 'idempotency-in-progress', outcome: 'none' });
  call.end();
  t.strictSame(counts(await answered), [RECEIPT_EVENTS, 0, 0]);

  const post = (key: string, body: string) =>
    fetch(`http://127.0.0.1:${port}/api/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key },
      body,
    });
  const single = await post('slow', line('p0', 0));
  t.equal(single.status, 422);
  t.match(await single.json(), { code: 'idempotency-conflict', outcome: 'none' });
  t.equal((await post('one', line('p0', 7))).status, 202);
  for (const onError of ['reject', 'continue']) {
    const batch = await sendBatch(port, lines(2), asked(onError, 'one'));
    t.equal(batch.status, 422);
    t.match(batch.body, { code: 'idempotency-conflict', outcome: 'none', rejected: 1 });
  }
  await service.stop();
});

t.test('the number of a receipt is no event', async (t) => {
  const { service, port } = await start(t);
  const { body } = await sendBatch(port, lines(2), asked('reject', 'k'));
  t.strictSame([body.first_seq, body.last_seq], [2, 3]);
  const statusOf = async (seq: number) => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/events/${seq}`);
    return [response.status, ((await response.json()) as { detail?: string }).detail];
  };
  t.match(await statusOf(1), [404, /no event: under it the log notes/]);
  t.match(await statusOf(4), [404, /no event: under it the log notes/]);
  t.match(await statusOf(5), [404, /No event has this number/]);
  const changes = await fetch(`http://127.0.0.1:${port}/api/v1/changes?since=0`, {
    headers: { accept: 'application/json' },
  });
  const page = (await changes.json()) as { changes: { seq: number }[]; next_since: number };
  t.strictSame(
    page.changes.map(({ seq }) => seq),
    [2, 3],
  );
  t.equal(page.next_since, 4);
  await service.stop();
});

t.test('an event that found no room is tried again', async (t) => {
  const dataDir = tempDir(t);
  const small = { DATA_DIR: dataDir, ...ENV, MAX_MEMORY_USAGE: '16KB', SHARDS: '1' };
  const { service, port } = await startReadyService(t, small);
  const first = await sendBatch(port, lines(500), asked('continue', 'k'));
  t.equal(first.status, 207);
  const { accepted, rejected } = first.body;
  t.ok(accepted > 0 && rejected > 0);
  await service.stop();

  const later = await start(t, dataDir);
  const again = await sendBatch(later.port, lines(500), asked('continue', 'k'));
  t.strictSame(counts(again), [rejected, 0, accepted]);
  await later.service.stop();
});
