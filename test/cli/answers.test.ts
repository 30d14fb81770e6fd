/**
 * What stands between a command and its service: redirects, pages of other programs, answers that are cut off.
 * None of them is taken for the service's word, and a file that an export would replace stays as it was.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, get, type IncomingMessage, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { sendBatch } from '../helpers/clients/batch-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine, startCommand } from '../helpers/processes/command-line.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';

const WAIT_MS_MAX = 60_000;
const NDJSON = { 'content-type': 'application/x-ndjson', 'x-resume-seq': '7' };

async function listening(t: Test, onRequest: RequestListener): Promise<number> {
  const server = createServer(onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** A folder with an earlier export, and the export that is to replace it. */
function exported(t: Test, port: number) {
  const cwd = tempDir(t);
  const path = join(cwd, 'x.ndjson');
  writeFileSync(path, 'before\n');
  return {
    cwd,
    run: () => runCommandLine(t, ['export', '-o', 'x.ndjson'], { cwd, port }),
    isAsBefore: () => {
      t.equal(readFileSync(path, 'utf8'), 'before\n');
      t.strictSame(readdirSync(cwd), ['x.ndjson']);
    },
    text: () => readFileSync(path, 'utf8'),
  };
}

/** Passes on what `service` sends, as HTTP/1.0 does: neither in chunks nor with its length; `keep` cuts it. */
async function oldProxy(
  t: Test,
  service: number,
  acceptEncoding: string | undefined,
  keep: (body: Buffer) => Buffer,
): Promise<number> {
  return await listening(t, async ({ url: path, headers }, response) => {
    const { 'accept-encoding': asked, ...rest } = headers;
    const coding = acceptEncoding ?? asked ?? 'identity';
    const answer = await new Promise<IncomingMessage>((resolve) => {
      const options = { port: service, path, headers: { ...rest, 'accept-encoding': coding } };
      get({ host: '127.0.0.1', ...options }, resolve);
    });
    const body = Buffer.concat(await answer.toArray());
    const { 'transfer-encoding': _, connection: __, ...sent } = answer.headers;
    const lines = Object.entries(sent).map(([name, value]) => `${name}: ${value}\r\n`);
    const { socket } = response;
    socket?.write(`HTTP/1.1 200 OK\r\n${lines.join('')}connection: close\r\n\r\n`);
    socket?.end(keep(body));
  });
}

t.test('a redirect is no answer, and says what --url is to be', async (t) => {
  const port = await listening(t, ({ url }, response) => {
    response.writeHead(308, { location: `https://shop.example/at${url}` }).end();
  });
  const { cwd, run, isAsBefore } = exported(t, port);
  const stderr = 'product-service: 308 redirected: --url is to be https://shop.example/at\n';
  t.match(await run(), { code: 1, stderr });
  isAsBefore();
  for (const args of [['tail'], ['get', 'a'], ['put', 'a', '--stock', '1'], ['top']]) {
    t.match(await runCommandLine(t, args, { cwd, port }), { code: 1, stdout: '', stderr });
  }
});

t.test('a redirect to somewhere else says where to', async (t) => {
  const port = await listening(t, (_, response) => {
    response.writeHead(302, { location: '/login?to=1' }).end();
  });
  const shown = await runCommandLine(t, ['get', 'a'], { cwd: tempDir(t), port });
  t.match(shown, { code: 1, stderr: /302 redirected: to http:[^ ]+\/login\?to=1, which is none/ });
});

t.test('a page of another program is no answer', async (t) => {
  const port = await listening(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<p>We are back soon\n');
  });
  const { cwd, run, isAsBefore } = exported(t, port);
  t.match(await run(), { code: 1, stderr: /it has text\/html in place of application\/x-ndjson/ });
  isAsBefore();
  for (const args of [['tail'], ['get', 'a'], ['put', 'a', '--stock', '1'], ['top']]) {
    const shown = await runCommandLine(t, args, { cwd, port });
    t.match(shown, { code: 1, stdout: '', stderr: /no answer of this service/ }, args[0]);
  }
});

t.test('an answer with another status than 200 is not all of it', async (t) => {
  const port = await listening(t, (_, response) => {
    response.writeHead(206, NDJSON).end('{"id":"a"}\n');
  });
  const { run, isAsBefore } = exported(t, port);
  t.match(await run(), { code: 1, stderr: /206/ });
  isAsBefore();
});

t.test('an export without x-resume-seq, and one that ends within a line', async (t) => {
  let headers: Record<string, string> = { 'content-type': 'application/x-ndjson' };
  const port = await listening(t, (_, response) => {
    response.writeHead(200, headers);
    response.write('{"id":"a"}\n');
    response.end('{"id":"b"}');
  });
  const { run, isAsBefore } = exported(t, port);
  t.match(await run(), { code: 1, stderr: /has no x-resume-seq/ });
  isAsBefore();
  headers = NDJSON;
  t.match(await run(), { code: 1, stderr: /the stream was cut off: it ends within a line/ });
  isAsBefore();
});

t.test('an export that is cut between two lines is noticed behind any proxy', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: join(tempDir(t), 'data') });
  const products = Array.from({ length: 2000 }, (_, i) =>
    JSON.stringify({ product_id: `p${i}`, price: i, stock: i }),
  );
  await sendBatch(port, products.join('\n'), { query: '?ack=applied' });

  const whole = exported(t, await oldProxy(t, port, undefined, (body) => body));
  t.match(await whole.run(), { code: 0 });
  t.equal(whole.text().split('\n').length, products.length + 1);

  const halves = (body: Buffer) => body.subarray(0, body.length >> 1);
  for (const coding of ['zstd', 'gzip']) {
    const cut = exported(t, await oldProxy(t, port, coding, halves));
    t.match(await cut.run(), { code: 1, stderr: /the stream was cut off: / }, coding);
    cut.isAsBefore();
  }
  const lines = (body: Buffer) => body.subarray(0, body.lastIndexOf('\n', body.length >> 1) + 1);
  const plain = exported(t, await oldProxy(t, port, 'identity', lines));
  t.match(await plain.run(), { code: 1, stderr: /nobody could see it cut off/ });
  plain.isAsBefore();
});

t.test('a tail says that its stream ends without an event', async (t) => {
  const port = await listening(t, (_, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end();
  });
  const tail = startCommand(t, ['tail'], { cwd: tempDir(t), port });
  await polled(() => tail.printed().stderr !== '' || undefined, WAIT_MS_MAX, 'a word');
  t.match(tail.printed().stderr, /^[^\n]+ the stream has no events; trying again\n/);
  tail.kill('SIGINT');
  await tail.end;
});

t.test(
  'two exports to one file at once are both whole; an interrupted one leaves nothing',
  async (t) => {
    const all: (() => void)[] = [];
    const port = await listening(t, (_, response) => {
      response.writeHead(200, NDJSON).write('{"id":"a"}\n');
      all.push(() => response.end('{"id":"b"}\n'));
    });
    const { cwd, run, isAsBefore, text } = exported(t, port);
    const interrupted = startCommand(t, ['export', '-o', 'x.ndjson'], { cwd, port });
    await polled(() => all.length === 1 || undefined, WAIT_MS_MAX, 'its request');
    t.equal(readdirSync(cwd).length, 2, 'a part');
    interrupted.kill('SIGTERM');
    t.match(await interrupted.end, { signal: 'SIGTERM' });
    isAsBefore();

    const both = [run(), run()];
    await polled(() => all.length === 3 || undefined, WAIT_MS_MAX, 'both');
    for (const end of all) end();
    for (const { code, stderr } of await Promise.all(both)) t.equal(code, 0, stderr);
    t.equal(text(), '{"id":"a"}\n{"id":"b"}\n');
    t.strictSame(readdirSync(cwd), ['x.ndjson']);
  },
);
