/** Batches that come again: Idempotency-Key and event_id. */
import t, { type Test } from 'tap';
import { type BatchAnswered, line, lines, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

async function setup(t: Test, env: Readonly<Record<string, string>> = {}) {
  const dataDir = tempDir(t);
  const { service, port } = await startReadyService(t, { DATA_DIR: dataDir, ...env });
  return { service, port, dataDir };
}

const keyed = (key: string) => ({ headers: { 'idempotency-key': key } });
const withId = (id: string, price: number, eventId: string) =>
  line(id, price).replace('}', `,"event_id":"${eventId}"}`);
const counts = ({ body }: BatchAnswered) => [body.accepted, body.rejected, body.duplicates];
const seqs = ({ body }: BatchAnswered) => [body.first_seq, body.last_seq];

t.test('a batch that comes again answers with the same seqs, and says so', async (t) => {
  const { port } = await setup(t);
  for (const query of ['', '?on_error=continue']) {
    const options = { query, ...keyed(`import${query}`) };
    const body = `\n${lines(300)}`;
    const first = await sendBatch(port, body, options);
    t.equal(first.status, 202);
    t.equal(first.headers['idempotency-replayed'], undefined);
    t.strictSame(counts(first), [300, 0, 0]);
    const again = await sendBatch(port, body, options);
    t.equal(again.status, 202);
    t.equal(again.headers['idempotency-replayed'], 'true');
    t.strictSame(counts(again), [0, 0, 300]);
    t.strictSame(seqs(again), seqs(first));
  }
});

t.test('a longer or a shorter body under a known key is another one', async (t) => {
  const { port } = await setup(t);
  for (const query of ['', '?on_error=continue']) {
    const options = { query, ...keyed(`import${query}`) };
    const first = await sendBatch(port, lines(100), options);
    t.strictSame(counts(first), [100, 0, 0]);
    for (const body of [lines(150), lines(99), lines(1), lines(100).trimEnd(), lines(100, 1)]) {
      for (const query of ['', '?on_error=continue']) {
        const other = await sendBatch(port, body, { ...options, query });
        t.equal(other.status, 422);
        t.match(other.body, {
          code: 'idempotency-conflict',
          outcome: 'none',
          detail: /^Another body/,
        });
      }
    }
    t.strictSame(counts(await sendBatch(port, `${lines(100)}\n\n`, options)), [0, 0, 100]);
  }
});

t.test('event ids count for each event, across batches, and before the key', async (t) => {
  const { port } = await setup(t);
  const ab = withId('a', 1, 'e-1') + withId('b', 2, 'e-2');
  await sendBatch(port, ab, keyed('k-1'));
  const more = await sendBatch(port, withId('c', 3, 'e-3') + ab, keyed('k-2'));
  t.strictSame(counts(more), [1, 0, 2]);
  t.strictSame(seqs(more), [2, 6], 'beside the receipts of both batches');
  const escaped = await sendBatch(port, withId('a', 1, '\\u0065-1'));
  t.strictSame(counts(escaped), [0, 0, 1]);
});

t.test('takes nothing of a batch that contradicts what came before', async (t) => {
  const { port } = await setup(t);
  await sendBatch(port, lines(10), keyed('k'));
  const other = await sendBatch(port, lines(20, 1), keyed('k'));
  t.equal(other.status, 422);
  t.match(other.body, { code: 'idempotency-conflict', outcome: 'none' });
  const twice = await sendBatch(port, `${withId('a', 1, 'e')}\n${withId('a', 2, 'e')}`);
  t.match(twice.body, { code: 'idempotency-conflict', outcome: 'none', rejected: 1 });
  t.equal(twice.body.errors[0].line, 3);
  const same = await sendBatch(port, withId('a', 1, 'e') + withId('a', 1, 'e'));
  t.strictSame(counts(same), [1, 0, 1]);
  t.strictSame(seqs(same), [13, 13], 'nothing was logged in between');
});

t.test('rejects contradicting events alone with on_error=continue', async (t) => {
  const { port } = await setup(t);
  await sendBatch(port, withId('a', 1, 'e-1'));
  const body = `${line('x', 1)}\n${withId('a', 2, 'e-1')}${line('y', 1)}`;
  const answer = await sendBatch(port, body, { query: '?on_error=continue' });
  t.equal(answer.status, 207);
  t.strictSame(counts(answer), [2, 1, 0]);
  t.match(answer.body.errors, [{ line: 3, pointer: '/event_id' }]);
});

t.test('the room of a known event is given back', async (t) => {
  // Room for about 60 products: each repetition reserves a place for each of its events.
  const { port } = await setup(t, { MAX_MEMORY_USAGE: '16KB', SHARDS: '1', WORKERS: '1' });
  const body = lines(40);
  await sendBatch(port, body, { query: '?ack=applied', ...keyed('k') });
  for (let i = 0; i < 10; i++) {
    t.strictSame(counts(await sendBatch(port, body, keyed('k'))), [0, 0, 40]);
  }
  const fresh = line('new', 1);
  t.equal((await sendBatch(port, fresh)).status, 202);
});

t.test('refuses a key that is empty, too long or not visible', async (t) => {
  const { port } = await setup(t);
  for (const key of ['', 'x'.repeat(256), 'a b']) {
    t.equal((await sendBatch(port, lines(1), keyed(key))).body.code, 'invalid-header');
  }
  t.equal((await sendBatch(port, lines(1), keyed('x'.repeat(255)))).status, 202);
});
