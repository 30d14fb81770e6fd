/** A full intake ring: exactly QUEUE_SIZE events in flight, the rest told when to come back. */
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { ApiClient, codeOf, type EventBody } from '../helpers/clients/api-client.ts';
import { faultsOf, type Tally, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { GATED_LOG, installGates } from '../helpers/threads/log-gates.ts';
import { tried } from '../helpers/tries.ts';

const MORE = 20;
const ANSWERS_MS_MAX = 60_000;

for (const [queueSize, threads] of [
  [1, '1'],
  [8, '1'],
  [8, '3'],
] as const) {
  const HTTP_THREADS = threads;

  t.test(
    `QUEUE_SIZE=${queueSize}, HTTP threads: ${threads}, the disk standing still`,
    async (t) => {
      const own = { DATA_DIR: tempDir(t), QUEUE_SIZE: String(queueSize), STORAGE_TIMEOUT: '1m' };
      const env = { ...own, HTTP_THREADS };
      const { flush } = installGates();
      const { service, port } = await startReadyService(t, env, { threads: { log: GATED_LOG } });
      const client = new ApiClient(port, queueSize + MORE);
      t.teardown(() => client.close());
      t.teardown(() => flush.open());

      flush.close();
      const answers: { event: EventBody; status: number; code: string; retryAfter: number }[] = [];
      const all = Array.from({ length: queueSize + MORE }, async (_, n) => {
        const event = { product_id: `product ${n}`, price: n, stock: n };
        const answer = await client.post(event);
        const code = answer.status === 202 ? '' : codeOf(answer);
        const retryAfter = Number(answer.headers['retry-after']);
        answers.push({ event, status: answer.status, code, retryAfter });
      });
      await polled(
        () => (answers.length >= MORE ? true : undefined),
        ANSWERS_MS_MAX,
        'the refusals',
      );
      await flush.arrival();
      // All requests have reached the service, and what is not answered is what it holds.
      t.equal(answers.length, MORE, 'exactly QUEUE_SIZE are held');
      t.strictSame([...new Set(answers.map(({ code }) => code))], ['queue-full']);
      t.ok(
        answers.every(({ retryAfter }) => Number.isInteger(retryAfter) && retryAfter >= 1),
        'each refusal says after how many seconds to come back',
      );

      flush.open();
      await Promise.all(all);
      const taken = answers.slice(MORE);
      t.strictSame(
        taken.map(({ status }) => status),
        Array(queueSize).fill(202),
        'what was held is acknowledged',
      );
      t.equal((await client.post({ product_id: 'next', price: 1, stock: 1 })).status, 202);
      t.equal(await service.stop(), true, 'it stops cleanly');

      const again = await startReadyService(t, env);
      const reader = new ApiClient(again.port);
      t.teardown(() => reader.close());
      for (const { event, status } of answers) {
        const { product_id: id, price } = event;
        t.equal((await reader.product(id))?.price, status === 202 ? price : undefined, id);
      }
    },
  );

  t.test(`QUEUE_SIZE=${queueSize}, HTTP threads: ${threads}, the disk at its speed`, async (t) => {
    const env = { DATA_DIR: tempDir(t), QUEUE_SIZE: String(queueSize), HTTP_THREADS };
    const { service, port } = await startReadyService(t, env);
    const ledger = new AckLedger();
    const load = { port, ledger, connections: 40, products: 3 };
    const tally: Tally = {};
    await tried(async () => {
      await write({ ...load, eventsMax: 25, tally });
      return tally['202'] > 0 && tally['503 queue-full'] > 0;
    }, 'some got in, and some did not');
    t.comment(tally);
    t.strictSame(Object.keys(tally).sort(), ['202', '503 queue-full'], 'nothing else happened');
    t.strictSame(await write({ ...load, connections: 1, eventsMax: 20 }), { 202: 20 }, 'recovers');
    t.equal(await service.stop(), true, 'it stops cleanly');

    const again = await startReadyService(t, env);
    t.strictSame(await faultsOf(ledger, again.port), [], 'what was acknowledged is there, no more');
  });
}
