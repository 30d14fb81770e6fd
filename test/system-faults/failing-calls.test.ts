/**
 * Every call by which the log reaches the disk fails for a while, under load. Allowed for a write:
 * an acknowledgement (late, perhaps), a refusal with outcome none, and one with outcome unknown for
 * what was handed to the disk. Forbidden: an acknowledged one that is lost, a refused one that shows.
 */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { ApiClient, seqOf } from '../helpers/clients/api-client.ts';
import { read } from '../helpers/clients/readers.ts';
import { faultsOf, write } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { AttachedStrace, underStrace } from '../helpers/processes/strace.ts';
import { readiness, refusedWrites, sum, VERDICT_MS_MAX } from './verdicts.ts';

/** Size of a segment once the log thread was idle. */
const PREALLOCATED_BYTES = 1 << 20;

const SMALL = { MAX_MEMORY_USAGE: '16MB', WORKERS: '2' };
const UNKNOWN = '503 storage-unavailable unknown';

/** What is injected, and what must be found in the trace of it. */
const FAILURES: readonly { inject: readonly string[]; found: string; reason: RegExp }[] = [
  { inject: ['fdatasync:error=EIO'], found: 'fdatasync EIO', reason: /EIO.*fdatasync/ },
  { inject: ['pwrite64:error=EIO'], found: 'pwrite64 EIO', reason: /EIO.*write/ },
  { inject: ['pwrite64:error=ENOSPC'], found: 'pwrite64 ENOSPC', reason: /ENOSPC.*write/ },
  // One flush fails, and then the fresh segment can't be made.
  {
    inject: ['fdatasync:error=EIO:when=1', 'fsync:error=EIO'],
    found: 'fsync EIO',
    reason: /EIO.*fdatasync/,
  },
  {
    inject: ['fdatasync:error=EIO:when=1', 'rename:error=ENOSPC'],
    found: 'rename ENOSPC',
    reason: /EIO.*fdatasync/,
  },
  {
    inject: ['pwrite64:error=ENOSPC:when=1', 'openat:error=EMFILE'],
    found: 'openat EMFILE',
    reason: /ENOSPC.*write/,
  },
];

t.test('under load, with a STORAGE_TIMEOUT that is over before the disk is back', async (t) => {
  const cwd = tempDir(t);
  const env = { ...SMALL, STORAGE_TIMEOUT: '300ms' };
  const service = await ServiceProcess.start(t, { cwd, env });
  const port = await service.ready();
  const client = new ApiClient(port, 4);
  t.teardown(() => client.close());
  const ledger = new AckLedger();
  let isOver = false;
  const load = { port, connections: 16, products: 3, isOver: () => isOver };
  const tally = {};
  const writing = write({ ...load, ledger, eventsMax: 1_000_000, tally });
  const reading = read({ port, connections: 2, readsMax: 1_000_000, isOver: load.isOver });
  const acknowledged = (more: number, what: string) => {
    const wanted = ledger.acknowledgements + more;
    return polled(() => ledger.acknowledgements >= wanted || undefined, VERDICT_MS_MAX, what);
  };

  for (const { inject, found, reason } of FAILURES) {
    await acknowledged(100, `acknowledgements before ${found}`);
    const unknownBefore = sum(tally, UNKNOWN);
    const disk = await AttachedStrace.attach(t, service.pid, inject);
    await readiness(client, 'red');
    await polled(
      () => sum(tally, UNKNOWN) > unknownBefore || undefined,
      VERDICT_MS_MAX,
      'writes in flight to be let go',
    );
    await refusedWrites(t, client);
    t.equal((await client.get('/livez')).status, 200, `${found}: it is alive`);
    t.equal((await client.get('/api/v1/products/lane%200%2F0')).status, 200, 'reads go on');
    const isLogged = () => {
      const last = service.log.findLast(({ level }) => level === 50);
      return reason.test(String(last?.reason)) || undefined;
    };
    await polled(isLogged, VERDICT_MS_MAX, `the log to say ${reason} last`);
    await polled(() => disk.trace.injected[found], VERDICT_MS_MAX, `${found} to be injected`);
    await disk.detach();
    t.comment('injected', disk.trace.injected);
    t.strictSame(disk.trace.usesAfterFailure, [], 'no segment is used after it failed');

    await readiness(client, 'green');
    await acknowledged(100, `acknowledgements after ${found}`);
  }
  isOver = true;
  await writing;
  await client.allApplied();
  const reads = await reading;
  t.comment(tally, reads);
  t.strictSame(
    Object.keys(tally).sort(),
    ['202', '503 storage-unavailable', UNKNOWN],
    'nothing else was answered',
  );
  t.strictSame(
    Object.keys(reads).filter((outcome) => !/^(200|404)$/.test(outcome)),
    [],
  );
  const told = service.log.map(({ msg }) => msg);
  const back = told.filter((msg) => msg === 'log: storage is available again').length;
  t.ok(back >= FAILURES.length, `it came back by itself, and said so ${back} times`);
  t.strictSame(await faultsOf(ledger, port), [], 'what was acknowledged is there, no more');

  await service.crash();
  const again = await ServiceProcess.start(t, { cwd, env: SMALL });
  t.strictSame(await faultsOf(ledger, await again.ready()), [], 'and after kill -9');
  const probe = new ApiClient(await again.ready());
  t.teardown(() => probe.close());
  // Without this one, and that of `allApplied`.
  const events = seqOf(await probe.post({ product_id: 'last', price: 1, stock: 1 })) - 2;
  const most = ledger.acknowledgements + sum(tally, UNKNOWN);
  t.ok(
    events >= ledger.acknowledgements && events <= most,
    `the log has ${events} events: ${ledger.acknowledgements} acknowledged … ${most} with unknown`,
  );
  t.strictSame(await again.stop(), { code: 0, signal: null });
});

t.test('with the disk back before STORAGE_TIMEOUT is over', async (t) => {
  const cwd = tempDir(t);
  const env = { ...SMALL, STORAGE_TIMEOUT: '1m' };
  const service = await ServiceProcess.start(t, { cwd, env });
  const client = new ApiClient(await service.ready(), 12);
  t.teardown(() => client.close());
  await quietDisk(client, join(cwd, 'data/log/0000000000000001.seg'));
  const disk = await AttachedStrace.attach(t, service.pid, ['fdatasync:error=EIO']);
  const answers: { id: string; status: number; text: string }[] = [];
  const post = async (id: string, query: string) => {
    const body = JSON.stringify({ product_id: id, price: 1, stock: 1 });
    const { status, text } = await client.send('POST', `/api/v1/events${query}`, body);
    answers.push({ id, status, text });
  };
  const all = ['durable', 'applied', 'durable', 'applied'].map((ack, n) =>
    post(`${ack} ${n}`, `?ack=${ack}`),
  );

  await readiness(client, 'red');
  await refusedWrites(t, client);
  const retried = () => (disk.trace.injected['fdatasync EIO'] ?? 0) >= 4 || undefined;
  await polled(retried, VERDICT_MS_MAX, 'it to be tried again');
  t.ok(
    answers.every(({ status, text }) => status === 503 && text.includes('"outcome":"none"')),
    'nothing is acknowledged meanwhile',
  );
  const refused = answers.length;
  t.ok(refused < all.length, `${all.length - refused} wait`);
  await disk.detach();
  t.comment('injected', disk.trace.injected);
  await Promise.all(all);
  for (const { id, status, text } of answers.slice(refused)) {
    t.match({ id, status, text }, { status: /^applied/.test(id) ? 200 : 202, text: /"seq":/ });
  }
  await readiness(client, 'green');
  await service.crash();

  const again = await ServiceProcess.start(t, { cwd, env });
  const reader = new ApiClient(await again.ready());
  t.teardown(() => reader.close());
  for (const [n, { id }] of answers.entries()) {
    t.equal((await reader.product(id))?.price, n < refused ? undefined : 1, id);
  }
  t.strictSame(await again.stop(), { code: 0, signal: null });
});

for (const call of ['fdatasync', 'pwrite64']) {
  t.test(`${call} fails while nothing is written`, async (t) => {
    // The first two are of the segment's header and name; the third is of the room ahead.
    const { under, trace } = underStrace(t, [`${call}:error=EIO:when=3`]);
    const service = await ServiceProcess.start(t, { cwd: tempDir(t), env: SMALL, under });
    const client = new ApiClient(await service.ready());
    t.teardown(() => client.close());
    await service.logged('log: storage unavailable');
    await service.logged('log: storage is available again');
    t.strictSame(trace.injected, { [`${call} EIO`]: 1 });
    await readiness(client, 'green');
    t.equal((await client.post({ product_id: 'p', price: 1, stock: 1 })).status, 202);
    t.strictSame(await service.stop(), { code: 0, signal: null });
  });
}

/** Waits until the log has written all that it does without being asked: the room ahead. */
async function quietDisk(client: ApiClient, segment: string): Promise<void> {
  const isAhead = () => statSync(segment).size >= PREALLOCATED_BYTES || undefined;
  await polled(isAhead, VERDICT_MS_MAX, 'the log to preallocate');
  // The log thread does one thing after the other: this is flushed after all that.
  await client.post({ product_id: 'first', price: 1, stock: 1 });
}
