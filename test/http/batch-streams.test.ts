/** What can happen to a batch on its way: a full store, a stuck disk, a stop, a client that leaves. */
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { line, lines, openBatch, sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { GATED_LOG, installGates } from '../helpers/threads/log-gates.ts';

const WAIT_MS_MAX = 60_000;
const CONTINUE = '?on_error=continue';

async function setup(t: Test, env: Readonly<Record<string, string>> = {}, firstCursor = 0) {
  const gates = installGates();
  const options = { threads: { log: GATED_LOG }, firstCursor };
  const started = await startReadyService(t, { DATA_DIR: tempDir(t), ...env }, options);
  const client = new ApiClient(started.port);
  t.teardown(() => client.close());
  return { ...started, gates, client };
}

t.test('a batch larger than its queue goes through it', async (t) => {
  const { port, client } = await setup(t, { BULK_QUEUE_SIZE: '100' });
  for (const [round, query] of ['?ack=applied', `${CONTINUE}&ack=applied`].entries()) {
    const { body } = await sendBatch(port, lines(5000, round), { query });
    t.equal(body.accepted, 5000);
    t.equal((await client.product('p4999'))?.price, 4999 + round);
  }
});

t.test('goes on over the wrap of the cursors', async (t) => {
  const { port, client } = await setup(t, { BULK_QUEUE_SIZE: '100' }, 2 ** 31 - 250);
  for (const [round, query] of ['?ack=applied', `${CONTINUE}&ack=applied`].entries()) {
    const { body } = await sendBatch(port, lines(300, round), { query });
    t.equal(body.accepted, 300);
    t.strictSame([body.first_seq, body.last_seq], [1 + round * 300, 300 + round * 300]);
  }
  t.equal((await client.product('p299'))?.price, 300);
});

t.test('several batches at a time share the queue, each with its own count', async (t) => {
  const { port } = await setup(t, { BULK_QUEUE_SIZE: '500' });
  const answers = await Promise.all(
    [1000, 2000, 3000, 4000, 5000].map((count, i) =>
      sendBatch(port, `x\n${lines(count)}`.slice(i % 2 === 0 ? 2 : 0), {
        query: i % 2 === 0 ? '' : CONTINUE,
      }),
    ),
  );
  t.strictSame(
    answers.map(({ status, body }) => [status, body.accepted, body.rejected]),
    [
      [202, 1000, 0],
      [207, 2000, 1],
      [202, 3000, 0],
      [207, 4000, 1],
      [202, 5000, 0],
    ],
  );
});

t.test('a full store takes no batch whole, or the events that it knows', async (t) => {
  const env = { MAX_MEMORY_USAGE: '16KB', SHARDS: '1', WORKERS: '1' };
  const { port, client, logged } = await setup(t, env);
  const room = Number(logged.find(({ msg }) => msg.startsWith('store: room'))?.productsMax);
  const applied = '?ack=applied';
  const most = Array.from({ length: room - 2 }, (_, i) => line(`p${i}`, 1)).join('');
  t.equal((await sendBatch(port, most, { query: applied })).status, 200);

  const tooMany = line('a', 1) + line('b', 1) + line('c', 1);
  const whole = await sendBatch(port, tooMany);
  t.equal(whole.status, 507);
  t.match(whole.body, { code: 'store-full', outcome: 'none' });
  t.equal(await client.product('a'), undefined);

  // Far more events than there is room, but only two new products.
  const many = `${line('a', 2)}${line('b', 2)}${line('p0', 2)}`.repeat(room);
  const fits = await sendBatch(port, many, { query: applied });
  t.equal(fits.status, 200);
  t.equal(fits.body.accepted, 3 * room);

  const streamed = await sendBatch(port, line('c', 1) + line('a', 3), {
    query: `${CONTINUE}&ack=applied`,
  });
  t.equal(streamed.status, 207);
  t.match(streamed.body.errors, [{ line: 1, pointer: '/product_id' }]);
  t.equal((await client.product('a'))?.price, 3);
});

t.test('a stuck disk: outcome unknown for what it was given, none for the rest', async (t) => {
  const env = { BULK_QUEUE_SIZE: '100', STORAGE_TIMEOUT: '100ms' };
  const { port, gates, client } = await setup(t, env);
  for (const [round, query] of ['', CONTINUE].entries()) {
    gates.flush.close();
    const stuck = sendBatch(port, lines(1000, round), { query });
    await gates.flush.arrival();
    const behind = sendBatch(port, line('behind', 1), { query });
    const first = await stuck;
    t.equal(first.status, 503);
    t.match(first.body, { code: 'storage-unavailable', outcome: 'unknown', accepted: 0 });
    const second = await behind;
    t.equal(second.status, 503);
    t.match(second.body, { code: 'storage-unavailable', outcome: 'none' });
    gates.flush.open();
    const sent = () => sendBatch(port, line('after', round + 1), { query: '?ack=applied' });
    const after = await polled(
      async () => {
        const answer = await sent();
        return answer.status === 200 ? answer : undefined;
      },
      WAIT_MS_MAX,
      'the disk',
    );
    t.equal(after.body.accepted, 1);
    t.equal((await client.product('p0'))?.price, round, 'what it was given is there');
    t.equal(await client.product('p999'), undefined, 'the rest is not');
    t.equal(await client.product('behind'), undefined);
  }
});

t.test('a key is held until nothing of its batch is on its way any more', async (t) => {
  const { port, gates } = await setup(t, { STORAGE_TIMEOUT: '100ms' });
  const send = () => sendBatch(port, lines(50), { headers: { 'idempotency-key': 'stuck' } });
  gates.flush.close();
  const first = await send();
  t.equal(first.status, 503);
  t.match(first.body, { code: 'storage-unavailable', outcome: 'unknown' });
  const second = await send();
  t.equal(second.status, 409, 'its receipts would come behind those of the first');
  t.match(second.body, { code: 'idempotency-in-progress', outcome: 'none' });
  gates.flush.open();
  const third = await polled(
    async () => {
      const answer = await send();
      return answer.status === 202 ? answer : undefined;
    },
    WAIT_MS_MAX,
    'the disk',
  );
  t.strictSame([third.body.accepted, third.body.duplicates], [0, 50]);
  // STORAGE_TIMEOUT is short, and a thread may stand still.
  const fourth = await polled(
    async () => {
      const answer = await send();
      return answer.status === 202 ? answer : undefined;
    },
    WAIT_MS_MAX,
    'a repetition',
  );
  t.equal(fourth.headers['idempotency-replayed'], 'true');
});

t.test('a stop in the middle of a stream: what was taken is answered', async (t) => {
  const { service, port, client } = await setup(t);
  const { call, answered } = openBatch(port, { query: CONTINUE });
  call.write(lines(1000));
  await client.visible('p999', 999);
  const stopped = service.stop();
  const { status, headers, body } = await answered;
  t.equal(status, 503);
  t.equal(headers.connection, 'close');
  t.match(body, { code: 'stopping', outcome: 'partial', accepted: 1000, last_seq: 1000 });
  call.end(lines(10));
  t.ok(await stopped);
});

t.test('a stop before a batch is there whole takes nothing of it', async (t) => {
  const { service, port, client } = await setup(t);
  const { call, answered } = openBatch(port);
  const { call: other, answered: otherAnswered } = openBatch(port, { query: CONTINUE });
  call.write(lines(1000));
  other.write(line('other', 1));
  await client.visible('other', 1); // bodies of the first connection came before
  const stopped = service.stop();
  t.match((await answered).body, { code: 'stopping', outcome: 'none' });
  t.match((await otherAnswered).body, { code: 'stopping', outcome: 'partial', accepted: 1 });
  call.destroy();
  other.destroy();
  t.ok(await stopped);
});

t.test('a client that leaves gives its place back, and what came before stays', async (t) => {
  const { port, client } = await setup(t, { BATCH_CONCURRENCY: '1' });
  const { call, answered } = openBatch(port, { query: CONTINUE });
  call.write(line('left', 1));
  await client.visible('left', 1);
  const refused = await sendBatch(port, line('a', 1));
  t.equal(refused.status, 503);
  t.match(refused.body, { code: 'queue-full', outcome: 'none' });
  t.match(refused.headers['retry-after'], /^[1-9]\d*$/);
  call.destroy();
  await t.rejects(answered);
  await polled(
    async () => ((await sendBatch(port, line('a', 1))).status === 202 ? true : undefined),
    WAIT_MS_MAX,
    'the place',
  );
});

t.test(
  'a batch that is refused in the middle holds up no end when its client is gone',
  async (t) => {
    const { service, port } = await setup(t, { REQUEST_TIMEOUT: '10m' });
    const { call, answered } = openBatch(port, { headers: { 'content-encoding': 'gzip' } });
    call.on('error', () => undefined);
    call.write('this is no gzip');
    t.match(await answered, { status: 400 });
    call.destroy();
    await service.stop();
    // Of those that keep a process from its end.
    const timers = () =>
      process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    await polled(() => timers() === 0 || undefined, WAIT_MS_MAX, 'the last timer');
  },
);
