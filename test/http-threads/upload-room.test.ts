/** The places of batches on several threads: a batch that finds none gets the slowest upload's, wherever that is. */
import t from 'tap';
import { type RemoteUploads, UploadRoom } from '../../src/http-threads/upload-room.ts';
import { polled } from '../helpers/bounded.ts';
import { line, openBatch } from '../helpers/clients/batch-client.ts';
import { connectToAll } from '../helpers/clients/thread-connections.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const THREADS = 3;
const WAIT_MS_MAX = 60_000;
const NDJSON = { 'content-type': 'application/x-ndjson' };

/** Uploads of a thread, by how late each is; notes which gave up its place. */
function uploads(name: string, late: number[], given: string[]) {
  const make = async () => {
    const lateMs = Math.max(...late);
    if (late.length === 0) return false;
    late.splice(late.indexOf(lateMs), 1);
    given.push(`${name} ${lateMs}`);
    return true;
  };
  return {
    get latestMs() {
      return late.length === 0 ? undefined : Math.max(...late);
    },
    makeRoom: () => (late.length === 0 ? undefined : make()),
    remote: {
      latestMs: async () => (late.length === 0 ? undefined : Math.max(...late)),
      takePlace: make,
    },
  };
}

t.test('the slowest of all gives its place up, once for each who asks', async (t) => {
  const given: string[] = [];
  const own = uploads('main', [2_000, 5_000], given);
  const one = uploads('one', [3_000, 9_000], given);
  const other = uploads('other', [], given);
  const room = new UploadRoom(own, () => [one.remote, other.remote]);
  const all = await Promise.all(Array.from({ length: 6 }, () => room.makeRoom()));
  t.strictSame(given, ['one 9000', 'main 5000', 'one 3000', 'main 2000']);
  t.strictSame(all, [true, true, true, true, false, false]);
});

t.test('who dies or does not answer holds up nobody', async (t) => {
  const given: string[] = [];
  const dead: RemoteUploads = {
    latestMs: () => Promise.reject(new Error('the thread ended')),
    takePlace: () => Promise.reject(new Error('the thread ended')),
  };
  const hanging: RemoteUploads = {
    latestMs: () => new Promise(() => undefined),
    takePlace: () => new Promise(() => undefined),
  };
  const dying: RemoteUploads = { latestMs: async () => 9_000, takePlace: dead.takePlace };
  const own = uploads('main', [2_000], given);
  t.equal(await new UploadRoom(own, () => [dead, hanging]).makeRoom(), true);
  t.equal(await new UploadRoom(own, () => [dead, hanging]).makeRoom(), false);
  t.equal(await new UploadRoom(own, () => [dying]).makeRoom(), false);
  t.strictSame(given, ['main 2000']);
});

t.test('a slow upload of one thread makes room for a batch of another', async (t) => {
  const env = { HTTP_THREADS: String(THREADS), BATCH_CONCURRENCY: '1', REQUEST_TIMEOUT: '10m' };
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), ...env });
  const connections = await connectToAll(t, port, THREADS);
  let crossed = 0;
  for (let round = 0; crossed < 2; round++) {
    const asker = connections[round % THREADS];
    const slow = openBatch(port, { query: '?on_error=continue' });
    t.teardown(() => slow.call.destroy());
    slow.call.write(line(`slow-${round}`, round));
    await polled(
      async () => {
        const { status } = await asker.send('GET', `/api/v1/products/slow-${round}`);
        return status === 200 || undefined;
      },
      WAIT_MS_MAX,
      'the slow upload to have the place',
    );
    // As a client does that is told to come again.
    await polled(
      async () => {
        const path = '/api/v1/events/batch';
        const { status, text } = await asker.send('POST', path, line('quick', round), NDJSON);
        if (status !== 202 && status !== 503) throw new Error(`${status}: ${text}`);
        return status === 202 || undefined;
      },
      WAIT_MS_MAX,
      'a place',
    );
    const { status, headers, body } = await slow.answered;
    t.match({ status, body }, { status: 503, body: { code: 'queue-full', accepted: 1 } });
    const thread = String(headers['x-request-id']).replace(/-[^-]*$/, '');
    if (thread !== asker.thread) crossed++;
  }
});
