/** A batch with events that their applier dies of: `ack=applied` says which of them are dead. */
import t from 'tap';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { type BatchAnswered, line, lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { DEADLY_ALWAYS, DEADLY_APPLIER, installDeaths } from '../helpers/threads/deadly-prices.ts';

const BATCH = lines(20) + line('deadly', DEADLY_ALWAYS) + lines(20);

t.test('the dead events of a batch are listed by their seq', async (t) => {
  installDeaths();
  const { port } = await startReadyService(
    t,
    { DATA_DIR: tempDir(t) },
    { threads: { applier: DEADLY_APPLIER } },
  );
  const client = new ApiClient(port);
  t.teardown(() => client.close());
  const told = ({ status, body }: BatchAnswered) => [status, body.status, body.dead];

  const ofOthers = await client.post({ product_id: 'deadly', price: DEADLY_ALWAYS, stock: 1 });
  t.equal(ofOthers.status, 202);
  for (const [query, seq] of [
    ['?ack=applied', 23],
    ['?ack=applied&on_error=continue', 66],
  ] as const) {
    const keyed = { query, headers: { 'idempotency-key': query } };
    const first = await sendBatch(port, BATCH, keyed);
    t.strictSame(told(first), [207, 'applied', [seq]], query);
    t.match(first.body, { accepted: 41, rejected: 0, duplicates: 0, errors: [] });
    const { text } = await client.get(`/api/v1/events/${seq}`);
    t.strictSame(JSON.parse(text), { seq, status: 'dead' });
    const again = await sendBatch(port, BATCH, keyed);
    t.strictSame(told(again), [207, 'applied', [seq]], 'also when it comes again');
    t.equal(again.headers['idempotency-replayed'], 'true');
  }
  const durable = await sendBatch(port, BATCH, { query: '?ack=durable' });
  t.strictSame(told(durable), [202, 'durable', undefined], 'durable says nothing of it');
  const good = await sendBatch(port, lines(10), { query: '?ack=applied' });
  t.strictSame(told(good), [200, 'applied', undefined]);
});

t.test('also of a batch longer than the outcome window', async (t) => {
  installDeaths();
  const { service, port } = await startReadyService(
    t,
    { DATA_DIR: tempDir(t), OUTCOME_WINDOW: '1000' },
    { threads: { applier: DEADLY_APPLIER } },
  );
  const batch = line('deadly', DEADLY_ALWAYS) + lines(3000);
  const told = await sendBatch(port, batch, { query: '?ack=applied' });
  t.strictSame([told.status, told.body.dead], [207, [1]]);
  // The other appliers were ahead by then: its late outcome must not have fallen on one of theirs.
  for (let seq = 2002; seq <= 3001; seq++) {
    const outcome = service.path.outcomes.outcomeOf(seq);
    if (outcome !== 'applied') t.fail(`event ${seq} is told as ${outcome}`);
  }
});

t.test('also when the batch comes again after a restart', async (t) => {
  installDeaths();
  const DATA_DIR = tempDir(t);
  const keyed = { query: '?ack=applied', headers: { 'idempotency-key': 'again' } };
  const deadly = { threads: { applier: DEADLY_APPLIER } };
  const before = await startReadyService(t, { DATA_DIR }, deadly);
  t.strictSame((await sendBatch(before.port, BATCH, keyed)).body.dead, [22]);
  await before.service.stop();
  const { port } = await startReadyService(t, { DATA_DIR });
  const again = await sendBatch(port, BATCH, keyed);
  t.strictSame([again.status, again.body.dead], [207, [22]]);
});
