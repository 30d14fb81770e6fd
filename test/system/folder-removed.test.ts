/**
 * Files deleted under a running service, as `rm` does it: writes are refused until all that memory has
 * is on disk again, reads go on, and a killed service starts again with everything acknowledged.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommand } from '../helpers/processes/run-command.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const ENV = { MAX_MEMORY_USAGE: '16MB', SHARDS: '4', WORKERS: '2', SEGMENT_SIZE: '1MB' };
const PRODUCTS = 100;
const SAVED_MS_MAX = 60_000;
/** The service may begin to make the folder again while it is still being removed. */
const AGAIN = { maxRetries: 20, retryDelay: 5 };

/** Ways to delete, each given the data folder and the segments in it. */
const DELETIONS: Record<string, (data: string, segments: readonly string[]) => void> = {
  'rm -rf data': (data) => rmSync(data, { recursive: true, ...AGAIN }),
  'rm -rf data; mkdir data': (data) => {
    // Again where the service has just made a file in what `rm` had emptied.
    execFileSync('sh', ['-c', 'until rm -rf "$0"; do :; done; mkdir "$0"', data]);
  },
  'find data -type f -delete': (data) => {
    for (const entry of readdirSync(data, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) rmSync(join(entry.parentPath, entry.name), { force: true });
    }
  },
  'all segments': (_, segments) => {
    // A look between two of them removes what nobody can read on from.
    for (const path of segments) rmSync(path, { force: true });
  },
  'the newest segment': (_, segments) => rmSync(segments.at(-1) ?? ''),
  'the log': (data) => rmSync(join(data, 'log'), { recursive: true, ...AGAIN }),
  'the file newest': (data) => rmSync(join(data, 'log/newest')),
};

/** A service with some segments, and the acknowledged state of its products. */
async function running(t: Test) {
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd, env: ENV });
  const client = new ApiClient(await service.ready());
  t.teardown(() => client.close());
  const lines = Array.from({ length: 20_000 }, (_, i) =>
    JSON.stringify({ product_id: `p${i % PRODUCTS}`, price: i, stock: i }),
  );
  const { status } = await fetch(
    `http://127.0.0.1:${await service.ready()}/api/v1/events/batch?on_error=continue&ack=applied`,
    {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    },
  );
  t.equal(status, 200);
  const log = join(cwd, 'data/log');
  const segments = readdirSync(log).filter((name) => name.endsWith('.seg'));
  t.ok(segments.length > 2, `${segments.length} segments`);
  return { cwd, service, client, segments: segments.sort().map((name) => join(log, name)) };
}

/** Posts until it is taken; the tries before must have been refused for the right reason. */
async function posted(t: Test, client: ApiClient, id: string): Promise<void> {
  await polled(
    async () => {
      const { status, text } = await client.post({ product_id: id, price: 1, stock: 1 });
      if (status === 202) return true;
      t.match({ status, text }, { status: 503, text: /storage-unavailable/ });
      return undefined;
    },
    SAVED_MS_MAX,
    'writes to be taken again',
  );
}

async function has(t: Test, client: ApiClient, ids: readonly string[]): Promise<void> {
  for (let p = 0; p < PRODUCTS; p++) {
    const found = await client.product(`p${p}`);
    if (found?.price !== 20_000 - PRODUCTS + p) t.fail(`p${p}`, { found });
  }
  for (const id of ids) t.match(await client.product(id), { price: 1 }, id);
}

/** As verify says; `undefined` where it is not, or is no data folder at that moment. */
function isWhole(data: string): true | undefined {
  try {
    return runCommand('verify', data).code === 0 || undefined;
  } catch {
    return undefined;
  }
}

for (const [name, remove] of Object.entries(DELETIONS)) {
  t.test(name, async (t) => {
    const { cwd, service, client, segments } = await running(t);
    const data = join(cwd, 'data');
    remove(data, segments);
    // What is acknowledged before it is noticed is saved with the rest.
    const meanwhile = await client.post({ product_id: 'meanwhile', price: 1, stock: 1 });
    t.ok([202, 503].includes(meanwhile.status));
    t.equal((await service.logged('files were deleted')).level, 50);
    t.match(await client.product('p1'), { id: 'p1' }, 'reads go on');
    await service.logged('all is saved again', SAVED_MS_MAX);
    await posted(t, client, 'later');
    // Not at once, where a look came between two of the deletions.
    await polled(() => isWhole(data), SAVED_MS_MAX, 'verify to call it whole');
    const isReady = async () => (await client.get('/readyz')).status === 200 || undefined;
    await polled(isReady, SAVED_MS_MAX, 'it to be ready');

    await service.crash();
    const next = await ServiceProcess.start(t, { cwd, env: ENV });
    const later = new ApiClient(await next.ready());
    t.teardown(() => later.close());
    await has(t, later, meanwhile.status === 202 ? ['meanwhile', 'later'] : ['later']);
    t.strictSame(await next.stop(), { code: 0, signal: null });
  });
}

t.test('a segment in the middle: those behind it stay for whoever reads them', async (t) => {
  const { cwd, service, client, segments } = await running(t);
  const [before, deleted, ...behind] = segments as [string, string, ...string[]];
  rmSync(deleted);
  // A segment that no look has listed yet is not missed by itself.
  rmSync(join(cwd, 'data/log/newest'));
  await service.logged('all is saved again', SAVED_MS_MAX);
  t.notOk(existsSync(before), 'nobody can read on from it');
  for (const path of behind) t.ok(existsSync(path), path);
  await posted(t, client, 'later');
  await service.crash();
  const next = await ServiceProcess.start(t, { cwd, env: ENV });
  const later = new ApiClient(await next.ready());
  t.teardown(() => later.close());
  await has(t, later, ['later']);
  t.strictSame(await next.stop(), { code: 0, signal: null });
});

t.test('deleted again, with checkpoints, and stopped at once', async (t) => {
  const { cwd, service, client } = await running(t);
  const data = join(cwd, 'data');
  for (let i = 0; i < 2; i++) {
    const count = () => service.log.filter(({ msg }) => msg.includes('all is saved again')).length;
    const before = count();
    rmSync(data, { recursive: true, ...AGAIN });
    await polled(() => count() > before || undefined, SAVED_MS_MAX, 'it to be saved');
    await posted(t, client, `later ${i}`);
  }
  for (const name of readdirSync(join(data, 'checkpoint'))) {
    rmSync(join(data, 'checkpoint', name), { recursive: true, ...AGAIN });
  }
  t.strictSame(await service.stop(), { code: 0, signal: null }, 'a stop saves it as well');
  const next = await ServiceProcess.start(t, { cwd, env: ENV });
  const last = new ApiClient(await next.ready());
  t.teardown(() => last.close());
  await has(t, last, ['later 0', 'later 1']);
});

t.test('deleted, and stopped before anybody can have noticed', async (t) => {
  const { cwd, service, client } = await running(t);
  rmSync(join(cwd, 'data'), { recursive: true, ...AGAIN });
  const { status } = await client.post({ product_id: 'behind it', price: 1, stock: 1 });
  t.strictSame(await service.stop(), { code: 0, signal: null });
  const next = await ServiceProcess.start(t, { cwd, env: ENV });
  const later = new ApiClient(await next.ready());
  t.teardown(() => later.close());
  await has(t, later, status === 202 ? ['behind it'] : []);
  t.strictSame(await next.stop(), { code: 0, signal: null });
});
