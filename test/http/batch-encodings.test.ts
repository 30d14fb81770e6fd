/** Compressed batches of several frames, streams or members: the same events as when sent plain. */
import { Buffer } from 'node:buffer';
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib';
import t, { type Test } from 'tap';
import {
  type BatchAnswered,
  line,
  lines,
  openBatch,
  sendBatch,
} from '../helpers/clients/batch-client.ts';
import { FRAMES, framed, pieces, skippableFrame } from '../helpers/clients/frames.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const random = new Random();
const CONTINUE = '?on_error=continue';

async function setup(t: Test, env: Readonly<Record<string, string>> = {}) {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), ...env });
  return port;
}

/** Sends a compressed body in these pieces, each when the one before is written. */
async function sendPieces(
  port: number,
  coding: string,
  chunks: readonly Buffer[],
  query: string,
): Promise<BatchAnswered> {
  const { call, answered } = openBatch(port, { query, headers: { 'content-encoding': coding } });
  for (const chunk of chunks) {
    if (chunk.length > 0) await new Promise((resolve) => call.write(chunk, resolve));
  }
  call.end();
  return answered;
}

/** What an answer says of the events, whatever their numbers. */
const told = ({ status, body }: BatchAnswered) => ({
  status,
  accepted: body.accepted,
  rejected: body.rejected,
  errors: body.errors,
});

t.test(`any frames in any chunks say what the plain body says (SEED=${random.seed})`, async (t) => {
  const port = await setup(t);
  for (let round = 0; round < 60; round++) {
    const count = random.pick([1, 10, 500, 3000]);
    const body = Array.from({ length: count }, (_, i) =>
      round % 3 > 0 && random.chance(0.02) ? 'nonsense\n' : line(`p${i}`, random.below(1000)),
    ).join('');
    const query = round % 2 === 0 ? CONTINUE : '';
    const plain = await sendBatch(port, body, { query });
    const coding = random.pick(Object.keys(FRAMES));
    const parts = pieces(Buffer.from(body), random.integer(1, 6), random);
    const whole = Buffer.concat(framed(coding, parts, random));
    const chunks = pieces(whole, random.integer(1, 10), random);
    const coded = await sendPieces(port, coding, chunks, query);
    t.strictSame(told(coded), told(plain), `${coding}, ${parts.length} frames`);
  }
});

t.test('what cannot be read is a 400 that says how many lines were taken', async (t) => {
  const port = await setup(t);
  const good = lines(5000);
  const junk = Buffer.from('garbage');
  for (const [coding, body, accepted] of [
    ['zstd', Buffer.concat([zstdCompressSync(good), junk]), 5000],
    ['zstd', Buffer.concat([zstdCompressSync(good), Buffer.alloc(512)]), 5000],
    ['zstd', Buffer.concat([zstdCompressSync(good), skippableFrame(100).subarray(0, 50)]), 5000],
    ['br', Buffer.concat([brotliCompressSync(good), junk]), 5000],
    ['br', Buffer.concat([brotliCompressSync(good), Buffer.alloc(512)]), 5000],
    ['gzip', Buffer.concat([gzipSync(good), Buffer.alloc(512), gzipSync(good)]), 5000],
    ['gzip', Buffer.concat([gzipSync(good), Buffer.alloc(1)]), 5000],
    ['gzip', Buffer.concat([gzipSync(good), junk]), undefined],
    ['gzip', Buffer.concat([gzipSync(good), gzipSync(good).subarray(0, -4)]), 10_000],
  ] as const) {
    const headers = { 'content-encoding': coding };
    const none = await sendBatch(port, body, { headers });
    t.equal(none.status, 400);
    t.match(none.body, { code: 'invalid-encoding', outcome: 'none' });
    const { status, body: problem } = await sendBatch(port, body, { headers, query: CONTINUE });
    t.equal(status, 400);
    t.match(problem, {
      code: 'invalid-encoding',
      outcome: 'partial',
      detail: /^(?:Behind|The body) /,
    });
    if (accepted === undefined) t.ok(problem.accepted > 0 && problem.accepted <= 5000);
    else t.equal(problem.accepted, accepted, `${coding}: ${problem.detail}`);
  }
});

t.test('compressed bodies without an event', async (t) => {
  const port = await setup(t);
  const nothing = zstdCompressSync('');
  for (const [coding, body] of [
    ['zstd', Buffer.alloc(0)],
    ['zstd', Buffer.concat([skippableFrame(1000), nothing, nothing])],
    ['br', Buffer.concat([brotliCompressSync(''), brotliCompressSync('\n')])],
    ['gzip', Buffer.concat([gzipSync(''), gzipSync('')])],
  ] as const) {
    for (const query of ['', CONTINUE]) {
      const headers = { 'content-encoding': coding };
      t.match(await sendBatch(port, body, { headers, query }), {
        status: 400,
        body: { code: 'empty-body' },
      });
    }
  }
});

t.test('bounds hold over all frames, and empty ones are not free', async (t) => {
  const port = await setup(t, { BATCH_LIMIT: '100KB' });
  const bomb = gzipSync('\n'.repeat(1_000_000));
  const cases: [string, Buffer][] = [
    ['gzip', Buffer.concat(Array.from({ length: 20 }, () => bomb))],
    ['br', Buffer.alloc(20_000, brotliCompressSync(''))],
    ['zstd', Buffer.concat(Array.from({ length: 20_000 }, () => zstdCompressSync('')))],
  ];
  for (const [coding, body] of cases) {
    const headers = { 'content-encoding': coding };
    const flooded = await sendBatch(port, body, { headers, query: CONTINUE });
    t.equal(flooded.status, 413, coding);
    t.match(flooded.body, { code: 'body-too-large', outcome: 'none', detail: /expands/ });
  }
  // A frame for each event is dear, but no flood.
  for (const [coding, frame] of [
    ['br', brotliCompressSync(line('p', 1))],
    ['zstd', zstdCompressSync(line('p', 1))],
  ] as const) {
    const body = Buffer.concat(Array.from({ length: 3000 }, () => frame));
    const headers = { 'content-encoding': coding };
    const { status, body: answer } = await sendBatch(port, body, { headers, query: CONTINUE });
    t.equal(status, 202);
    t.equal(answer.accepted, 3000);
  }
});

t.test('byte order marks of files that were put together drop no event', async (t) => {
  const port = await setup(t);
  const file = (from: number) => `\ufeff${lines(3, from)}`;
  for (const query of ['', CONTINUE]) {
    const plain = await sendBatch(port, file(0) + file(3), { query });
    const headers = { 'content-encoding': 'zstd' };
    const frames = [file(0), file(3)].map((text) => zstdCompressSync(text));
    const coded = await sendBatch(port, Buffer.concat(frames), { query, headers });
    const array = await sendBatch(port, `\ufeff[${lines(6).trimEnd().replaceAll('\n', ',')}]`, {
      query,
      headers: { 'content-type': 'application/json' },
    });
    for (const { status, body } of [plain, coded, array]) {
      t.equal(status, 202);
      t.equal(body.accepted, 6);
    }
  }
});
