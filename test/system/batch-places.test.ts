/** Slow uploads keep no place that another client has use for; those with bytes ready keep theirs. */
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { lines, openBatch, sendBatch } from '../helpers/clients/batch-client.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const PLACES = 3;
const WAIT_MS_MAX = 60_000;

/** A slow upload has ten minutes: nothing but another's need ends it. */
const env = { BATCH_CONCURRENCY: String(PLACES), REQUEST_TIMEOUT: '10m' };
const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
const port = await service.ready();

/** Resolves when that many are under way, on all threads; the scrape itself is one more. */
async function underWay(uploads: number): Promise<void> {
  const isSo = async () => {
    const requests = (await scrape(port)).value('product_service_http_requests_in_flight');
    return requests === uploads + 1 || undefined;
  };
  await polled(isSo, WAIT_MS_MAX, `${uploads} uploads to be under way`);
}

for (const query of ['', '?on_error=continue']) {
  t.test(`slow uploads${query} give their places up one by one`, async (t) => {
    const slow = Array.from({ length: PLACES }, () => openBatch(port, { query }));
    t.teardown(() => {
      for (const { call } of slow) call.destroy();
    });
    for (const { call } of slow) call.write(lines(10));
    await underWay(PLACES);
    const ended: number[] = [];
    for (const [n, { answered }] of slow.entries()) {
      void answered.then(() => ended.push(n)).catch(() => undefined);
    }
    // As a client does that is told to come again.
    const accepted = await polled(
      async () => {
        const { status, headers, body } = await sendBatch(port, lines(1000));
        if (status === 202) return body.accepted;
        if (status !== 503 || headers['retry-after'] !== '1') throw new Error(`${status}`);
        return undefined;
      },
      WAIT_MS_MAX,
      'a place',
    );
    t.equal(accepted, 1000);
    const ends = slow.map(({ answered }, n) => answered.then(() => n));
    const first = await Promise.race(ends);
    t.strictSame(ended, [first], 'one place was needed, and one is given up');
    const { status, headers, body } = await slow[first].answered;
    t.match({ status, body }, { status: 503, body: { code: 'queue-full' } });
    t.equal(headers['retry-after'], '1');
    t.match(body.detail, 'another client was given its place');
    t.match(body, query === '' ? { outcome: 'none' } : { outcome: 'partial', accepted: 10 });
    for (let i = 0; i < 5; i++) t.equal((await sendBatch(port, lines(100))).status, 202);
    t.equal(ended.length, 1, 'a place that is free is nobody’s loss');
    for (const [n, { call, answered }] of slow.entries()) {
      if (n === first) continue;
      call.end(lines(5));
      t.match(await answered, { status: 202, body: { accepted: 15 } }, 'the others go on');
    }
  });
}

t.test('uploads that keep coming keep their places', async (t) => {
  const busy = Array.from({ length: PLACES }, () =>
    openBatch(port, { query: '?on_error=continue' }),
  );
  t.teardown(() => {
    for (const { call } of busy) call.destroy();
  });
  const piece = lines(1000);
  let isOver = false;
  let pieces = 0;
  const sending = busy.map(async ({ call }) => {
    while (!isOver) {
      await new Promise((resolve) => call.write(piece, resolve));
      pieces++;
    }
  });
  await polled(async () => (pieces > 100 ? true : undefined), WAIT_MS_MAX, 'them to be under way');
  for (let i = 0; i < 10; i++) {
    const { status, body } = await sendBatch(port, lines(10));
    t.match({ status, body }, { status: 503, body: { code: 'queue-full', outcome: 'none' } });
  }
  isOver = true;
  await Promise.all(sending);
  for (const { call, answered } of busy) {
    call.end();
    t.match(await answered, { status: 202, body: { rejected: 0 } });
  }
});
