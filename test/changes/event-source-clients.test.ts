/**
 * The change feed with the EventSource clients that people install: they come back by themselves after
 * whatever happens, and have exactly what the service has.
 */
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { CLIENT_NAMES, startClient } from '../helpers/clients/event-source-clients.ts';
import { scrape } from '../helpers/clients/metrics-client.ts';
import { WriteLoad } from '../helpers/clients/write-load.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random, testSeed } from '../helpers/models/random.ts';
import { startReadyService, startService } from '../helpers/processes/service-in-process.ts';
import { GATED_LOG, installGates } from '../helpers/threads/log-gates.ts';
import { CuttingProxy } from './cutting-proxy.ts';

const WAIT_MS_MAX = 100_000;
const CUTS = 25;
/** Headers and opening are 300 bytes, a change is 170. */
const CUT_BYTES_MAX = 1500;
/** What any client gets while nothing is cut. */
const UNCUT = Number.POSITIVE_INFINITY;

t.setTimeout(300_000);

async function clients(t: Test, port: number) {
  const each = async (name: string) => {
    const proxy = await CuttingProxy.start(t, { target: port });
    return { name, proxy, ...startClient(t, name, proxy.url) };
  };
  return Promise.all(CLIENT_NAMES.map(each));
}

const seed = testSeed();
t.test(`cut off at any byte, they miss nothing, seed ${seed}`, async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    CHANGES_HEARTBEAT: '20ms',
  });
  const load = new WriteLoad(service, seed, 30);
  const random = new Random(seed);
  const all = await clients(t, port);
  for (const { name, told } of all) {
    await bounded(
      told.until(() => told.has('position')),
      WAIT_MS_MAX,
      `${name} to know where it is`,
    );
  }
  // From here on each client has a place. One of them is cut off before it was told a change.
  for (const { proxy } of all) proxy.bytes = () => random.integer(1, CUT_BYTES_MAX);
  for (const { proxy } of all) proxy.drop();
  await polled(
    async () => {
      await load.send(20);
      return all.every(({ proxy }) => proxy.cuts >= CUTS) || undefined;
    },
    WAIT_MS_MAX,
    'every client to be cut off often',
  );
  for (const { proxy } of all) proxy.bytes = () => UNCUT;
  await load.send(20);
  for (const { name, told, proxy } of all) {
    await bounded(
      told.until(() => load.missing(told.seqs) === ''),
      WAIT_MS_MAX,
      `${name} to have everything, cut off ${proxy.cuts} times`,
    );
    t.equal(load.difference(told.last), '', `${name}, cut off ${proxy.cuts} times`);
    t.strictSame(told.faults, [], name);
    t.notOk(told.has('reset'), name);
  }
});

t.test('they wait for a service that starts, and come back to one that stopped', async (t) => {
  const env = { DATA_DIR: tempDir(t), CHANGES_HEARTBEAT: '50ms' };
  const first = await startReadyService(t, env);
  const load = new WriteLoad(first.service, 21, 10);
  await load.send(50);
  await first.service.stop();

  const { read } = installGates();
  t.teardown(() => read.open());
  read.close();
  const { service, port } = await startService(t, env, { threads: { log: GATED_LOG } });
  await read.arrival();
  const all = await clients(t, port);
  const raw = await openStream(t, port);
  t.equal(raw.response.headers['content-type'], 'text/event-stream');
  await raw.until(/^: changes\nretry: 2000\n: waiting[^\n]*\n(: heartbeat\n){2}/);
  await polled(
    async () => {
      const all = (await scrape(port)).value('product_service_changes_followers');
      return all === CLIENT_NAMES.length + 1 || undefined;
    },
    WAIT_MS_MAX,
    'all to be held',
  );
  const url = `http://127.0.0.1:${port}/api/v1/changes`;
  for (const accept of ['application/json', '*/*']) {
    const polling = await fetch(url, { headers: { accept } });
    t.equal(polling.status, 503, accept);
    t.match(await polling.json(), { code: 'not-ready' });
  }

  read.open();
  await service.ready();
  // In the same turn as the service is ready: nobody was told anything yet.
  const more = load.on(service);
  await more.send(30);
  await raw.until(/event: position\ndata: \{"seq":50\}\nid: 50\n\n/);
  for (const { name, told } of all) {
    await bounded(
      told.until(() => more.missing(told.seqs, 51) === ''),
      WAIT_MS_MAX,
      `${name} to be told what was written since the start`,
    );
    t.match(told.events[0], { name: 'position', seq: 50 }, name);
  }

  await service.stop();
  for (const { told } of all) {
    await bounded(
      told.until(() => told.has('stopping')),
      WAIT_MS_MAX,
      'the end',
    );
  }
  const again = await startReadyService(t, env);
  for (const { proxy } of all) proxy.target = again.port;
  const last = more.on(again.service);
  await last.send(30);
  for (const { name, told } of all) {
    await bounded(
      told.until(() => last.missing(told.seqs, 51) === ''),
      WAIT_MS_MAX,
      `${name} to come back`,
    );
    t.strictSame(told.faults, [], name);
    t.notOk(told.has('reset'), name);
  }
});

t.test('too many: they are turned away, and come back until there is room', async (t) => {
  const { service, port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    CHANGES_FOLLOWERS_MAX: '3',
  });
  const holding = await Promise.all([1, 2, 3].map(() => openStream(t, port)));
  const all = await clients(t, port);
  const load = new WriteLoad(service, 22, 10);
  for (const { name, told } of all) {
    await bounded(
      told.until(() => told.events.filter((e) => e.name === 'too-many-followers').length >= 2),
      WAIT_MS_MAX,
      `${name} to try again`,
    );
  }
  const refused = await openStream(t, port, { 'last-event-id': '17' });
  await refused.until(/^retry: 5000\nevent: too-many-followers\ndata: \{"seq":17\}\n\n$/);
  const json = await fetch(`http://127.0.0.1:${port}/api/v1/changes`);
  t.equal(json.status, 503, 'who takes anything gets a status');
  await json.body?.cancel();
  for (const { close } of holding) close();
  for (const { name, told } of all) {
    await bounded(
      told.until(() => told.has('position')),
      WAIT_MS_MAX,
      `${name} to have room`,
    );
  }
  await load.send(20);
  for (const { name, told } of all) {
    await bounded(
      told.until(() => load.missing(told.seqs) === ''),
      WAIT_MS_MAX,
      name,
    );
    t.strictSame(told.faults, [], name);
  }
});

t.test('a stop while it starts ends those who wait, so that they come back', async (t) => {
  const env = { DATA_DIR: tempDir(t) };
  const first = await startReadyService(t, env);
  await new WriteLoad(first.service, 23, 3).send(5);
  await first.service.stop();
  const { read } = installGates();
  t.teardown(() => read.open());
  read.close();
  const { service, port } = await startService(t, env, { threads: { log: GATED_LOG } });
  await read.arrival();
  const stream = await openStream(t, port);
  await stream.until(/waiting/);
  const stopped = service.stop();
  // The replay is not over, and its end is not waited for.
  await stream.until(/retry: 2000\nevent: stopping\ndata: \{"seq":null\}\n\n$/);
  read.open();
  t.equal(await stopped, true);
});

/** A stream, byte for byte. */
async function openStream(t: Test, port: number, headers: Record<string, string> = {}) {
  const request = get({
    port,
    host: '127.0.0.1',
    path: '/api/v1/changes',
    headers: { accept: 'text/event-stream', ...headers },
    agent: false,
  });
  request.on('error', () => undefined);
  t.teardown(() => request.destroy());
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  t.equal(response.statusCode, 200);
  t.equal(response.headers['x-accel-buffering'], 'no');
  t.equal(response.headers['content-encoding'], undefined);
  let text = '';
  response.setEncoding('utf8').on('error', () => undefined);
  response.on('data', (chunk: string) => {
    text += chunk;
  });
  const until = (pattern: RegExp) =>
    polled(() => pattern.test(text) || undefined, WAIT_MS_MAX, `${pattern} in ${text}`);
  return { response, until, close: () => request.destroy() };
}
