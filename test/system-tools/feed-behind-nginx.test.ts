/**
 * A real nginx in front: streams of changes arrive at once however it is set up, compressed exports come
 * through as they are, and with the configuration of docs/changes.md followers outlive a restart.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { promisify } from 'node:util';
import { constants, createGunzip } from 'node:zlib';
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { CLIENT_NAMES, startClient } from '../helpers/clients/event-source-clients.ts';
import { startNginx } from '../helpers/clients/nginx.ts';
import { WriteLoad } from '../helpers/clients/write-load.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const WAIT_MS_MAX = 100_000;
const DOCS = new URL('../../docs/changes.md', import.meta.url);

t.setTimeout(300_000);

const GZIP = 'gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1; gzip_comp_level 9;';
const SETUPS: Readonly<Record<string, string>> = {
  'as it comes: HTTP/1.0, buffering': '',
  'HTTP/1.1, buffering': 'proxy_http_version 1.1; proxy_set_header Connection "";',
  'HTTP/1.1, buffering, gzip': `proxy_http_version 1.1; proxy_set_header Connection ""; ${GZIP}`,
  'no buffering, gzip': `proxy_buffering off; ${GZIP}`,
};

/** What a stream has said so far, decoded. */
async function stream(t: Test, port: number) {
  const request = get({
    port,
    host: '127.0.0.1',
    path: '/api/v1/changes',
    headers: { accept: 'text/event-stream', 'accept-encoding': 'gzip' },
    agent: false,
  });
  t.teardown(() => request.destroy());
  request.on('error', () => undefined);
  const [response] = (await bounded(once(request, 'response'), WAIT_MS_MAX, 'the headers')) as [
    IncomingMessage,
  ];
  const isGzip = response.headers['content-encoding'] === 'gzip';
  const body = isGzip
    ? response.pipe(
        createGunzip({ flush: constants.Z_SYNC_FLUSH, finishFlush: constants.Z_SYNC_FLUSH }),
      )
    : response;
  let text = '';
  response.on('error', () => undefined);
  body.setEncoding('utf8').on('error', () => undefined);
  body.on('data', (chunk: string) => {
    text += chunk;
  });
  const until = (pattern: RegExp) =>
    polled(() => pattern.test(text) || undefined, WAIT_MS_MAX, `${pattern} in ${text}`);
  return { response, isGzip, until };
}

t.test('however nginx is set up, a stream begins at once and each change arrives', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    // What arrives is not pushed by what comes behind it.
    CHANGES_HEARTBEAT: '1h',
  });
  const load = new WriteLoad(service, 31, 1000);
  for (const [setup, lines] of Object.entries(SETUPS)) {
    const proxy = await startNginx(
      t,
      `location / { proxy_pass http://127.0.0.1:${port}; ${lines} }`,
    );
    const { response, isGzip, until } = await stream(t, proxy);
    t.equal(response.headers['content-type'], 'text/event-stream', setup);
    t.equal(isGzip, lines.includes('gzip'), setup);
    await until(/^: changes\nretry: 2000\nevent: position\n[^\n]*\nid: \d+\n\n$/);
    await load.send(1);
    await until(new RegExp(`\\nid: ${load.seq}\\n\\n$`));
    t.pass(`${setup}: it arrived`);
  }
});

t.test('a compressed export comes through as it is', async (t) => {
  const { service, port } = await startReadyService(t, { DATA_DIR: tempDir(t) });
  const load = new WriteLoad(service, 32, 3000);
  await load.send(6000);
  const path = '/api/v1/products';
  const accept = 'accept: application/x-ndjson';
  const curl = (from: number, ...more: readonly string[]) =>
    curlText('-H', accept, ...more, `http://127.0.0.1:${from}${path}`);
  const plain = await curl(port);
  t.ok(plain.split('\n').length > 1000);
  for (const lines of ['', GZIP, 'proxy_buffering off;']) {
    const proxy = await startNginx(
      t,
      `location / { proxy_pass http://127.0.0.1:${port}; ${lines} }`,
    );
    for (const coding of ['gzip', 'br', 'zstd']) {
      const asked = ['-H', `accept-encoding: ${coding}`, '--compressed'];
      t.equal(await curl(proxy, ...asked), plain, `${lines} ${coding}`);
      t.match(
        await curl(proxy, ...asked, '-o', '/dev/null', '-D', '-'),
        new RegExp(`content-encoding: ${coding}\r\n`, 'i'),
      );
    }
    t.equal(await curl(proxy), plain);
  }
});

t.test('with the configuration of docs/changes.md followers outlive a restart', async (t) => {
  const port = await freePort();
  const env = { DATA_DIR: tempDir(t), PORT: String(port) };
  const { service } = await startReadyService(t, env);
  const load = new WriteLoad(service, 33, 10);
  const [, lines = ''] = /```nginx\n([\s\S]*?)```/.exec(readFileSync(DOCS, 'utf8')) ?? [];
  t.match(lines, /127\.0\.0\.1:8080/);
  const proxy = await startNginx(t, lines.replaceAll('127.0.0.1:8080', `127.0.0.1:${port}`));
  const url = `http://127.0.0.1:${proxy}/api/v1/changes`;
  const all = CLIENT_NAMES.map((name) => ({ name, ...startClient(t, name, url) }));
  for (const { name, told } of all) {
    await bounded(
      told.until(() => told.has('position')),
      WAIT_MS_MAX,
      name,
    );
  }
  await load.send(20);
  await service.stop();
  const down = await fetch(url, { headers: { accept: 'text/event-stream' } });
  t.equal(down.status, 200);
  t.equal(down.headers.get('content-type'), 'text/event-stream');
  t.equal(await down.text(), 'retry: 2000\n\n');
  for (const { name, told } of all) {
    await bounded(
      told.until(() => told.has('stopping')),
      WAIT_MS_MAX,
      name,
    );
  }
  const again = await startReadyService(t, env);
  const more = load.on(again.service);
  await more.send(20);
  for (const { name, told } of all) {
    await bounded(
      told.until(() => more.missing(told.seqs) === ''),
      WAIT_MS_MAX,
      `${name} to come back`,
    );
    t.equal(more.difference(told.last), '', name);
    t.strictSame(told.faults, [], name);
  }
});

/** What curl prints; not waited for by the thread, on which the service runs. */
async function curlText(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)('curl', ['-sS', ...args], { maxBuffer: 2 ** 26 });
  return stdout;
}
