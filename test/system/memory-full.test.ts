/** A full store: exactly as many products as the start promised, and what is in it goes on. */
import t from 'tap';
import { ApiClient, codeOf } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const MORE = 25;
const CONNECTIONS = 16;
const TOO_SMALL =
  /^product-service: MAX_MEMORY_USAGE=16KB is too small for the products in the log, some (\d+): (\d+KB) would hold them, with no room for more\n$/;

const SIZES = [
  { SHARDS: '1', WORKERS: '1', MAX_MEMORY_USAGE: '4KB' },
  { SHARDS: '4', WORKERS: '2', MAX_MEMORY_USAGE: '128KB', smaller: '16KB' },
  { SHARDS: '2', WORKERS: '2', MAX_MEMORY_USAGE: '64KB', HTTP_THREADS: '3' },
] as const;

for (const { smaller, ...env } of SIZES.map((size) => ({ smaller: undefined, ...size }))) {
  t.test(`MAX_MEMORY_USAGE=${env.MAX_MEMORY_USAGE} in ${env.SHARDS} shards`, async (t) => {
    const cwd = tempDir(t);
    const start = async () => {
      const service = await ServiceProcess.start(t, { cwd, env });
      const client = new ApiClient(await service.ready(), CONNECTIONS);
      t.teardown(() => client.close());
      const room = Number((await service.logged('room for')).productsMax);
      return { service, client, room };
    };
    const post = async (client: ApiClient, id: string, price: number) => {
      const answer = await client.post({ product_id: id, price, stock: price });
      return answer.status === 202 ? '202' : `${answer.status} ${codeOf(answer)}`;
    };

    const first = await start();
    const { room } = first;
    t.ok(room > 0, `room for ${room} products`);
    const ids = Array.from({ length: room + MORE }, (_, n) => `product ${n}`);
    const answers = await Promise.all(ids.map((id) => post(first.client, id, 1)));
    const known = ids.filter((_, n) => answers[n] === '202');
    const refused = ids.filter((_, n) => answers[n] === '507 store-full');
    t.equal(known.length, room, 'exactly as many products as promised get in');
    t.equal(refused.length, MORE, 'all others are told that there is no room');

    const checkAll = async (client: ApiClient, price: number) => {
      for (const id of known) await client.visible(id, price);
      for (const id of refused) t.equal(await client.product(id), undefined, `${id} is unknown`);
    };
    await checkAll(first.client, 1);
    const updates = await Promise.all(known.map((id) => post(first.client, id, 2)));
    t.strictSame([...new Set(updates)], ['202'], 'known products go on being updated');
    t.equal(await post(first.client, refused[0], 2), '507 store-full', 'unknown ones do not');
    await checkAll(first.client, 2);

    await first.service.crash();
    const second = await start();
    t.equal(second.room, room, 'the same memory is the same room');
    await checkAll(second.client, 2);
    t.equal(await post(second.client, 'another', 3), '507 store-full', 'full it is, still');
    t.equal(await post(second.client, known[0], 2), '202');

    if (smaller !== undefined) {
      // Once with a log to replay, once with a checkpoint, which a clean stop leaves.
      for (const end of ['crash', 'stop'] as const) {
        await second.service[end]();
        const refusal = ServiceProcess.spawn(t, {
          cwd,
          env: { ...env, MAX_MEMORY_USAGE: smaller },
        });
        t.strictSame(await refusal.exit(), { code: 1, signal: null }, `too small after a ${end}`);
        const [line, count, figure = ''] = TOO_SMALL.exec(refusal.stderr) ?? [];
        t.ok(line, refusal.stderr);
        t.ok(Number(count) >= room && Number(count) < 1.1 * room + 10, 'as many as there are');
        t.match(refusal.log.at(-1), { level: 30, msg: 'stopped' }, 'nothing is said to be lost');
        const fitting = { ...env, MAX_MEMORY_USAGE: figure };
        const fits = await ServiceProcess.start(t, { cwd, env: fitting });
        const reader = new ApiClient(await fits.ready());
        await checkAll(reader, 2);
        reader.close();
        await fits.crash();
        if (end === 'crash') Object.assign(second, await start());
      }
    } else {
      t.strictSame(await second.service.stop(), { code: 0, signal: null });
    }
    const last = await start();
    await checkAll(last.client, 2);
    t.strictSame(await last.service.stop(), { code: 0, signal: null });
  });
}
