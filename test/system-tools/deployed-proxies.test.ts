/**
 * HAProxy and nginx as deploy/ configures them, before the real process: odd ids, batches, streams and
 * compressed exports come through, administration does not, and a restart under load loses nothing.
 */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, get, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { AckLedger } from '../helpers/clients/ack-ledger.ts';
import { type Ask, ask, json, type Reply } from '../helpers/clients/ask.ts';
import { startNginxWith } from '../helpers/clients/nginx.ts';
import { startProxy } from '../helpers/clients/proxy.ts';
import { faultsOf } from '../helpers/clients/writers.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const WAIT_MS_MAX = 60_000;
const LANES = 4;
const BATCH_LINES = 20_000;
/** As deploy/haproxy says: longer than fall × inter. */
const DRAIN = { DRAIN_DELAY: '3s', SHUTDOWN_TIMEOUT: '60s' };

t.setTimeout(300_000);

function deployed(file: string, proxyPort: number, servicePort: number): string {
  const text = readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');
  return text
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${proxyPort}`)
    .replaceAll('127.0.0.1:8080', `127.0.0.1:${servicePort}`);
}

type Start = (t: Test, proxyPort: number, servicePort: number) => Promise<void>;

const PROXIES: Readonly<Record<string, Start>> = {
  HAProxy: async (t, proxyPort, servicePort) => {
    const file = join(tempDir(t), 'haproxy.cfg');
    writeFileSync(file, deployed('haproxy/haproxy.cfg', proxyPort, servicePort));
    await startProxy(t, '/usr/sbin/haproxy', ['-db', '-f', file], proxyPort);
  },
  nginx: (t, proxyPort, servicePort) =>
    startNginxWith(t, deployed('nginx/product-service.conf', proxyPort, servicePort), proxyPort),
};

for (const [name, startOne] of Object.entries(PROXIES)) {
  t.test(`${name}: what a client sends and gets is what it would be without`, async (t) => {
    const service = await ServiceProcess.start(t, { cwd: tempDir(t) });
    const port = await freePort();
    await startOne(t, port, await service.ready());
    await served(port, '/livez');

    const odd = { product_id: 'a/b c?%2F', price: 1.25, stock: 3 };
    t.equal((await served(port, '/api/v1/events?ack=applied', json(odd))).status, 200);
    const path = `/api/v1/products/${encodeURIComponent(odd.product_id)}`;
    t.match(JSON.parse(`${(await served(port, path)).body}`), { id: odd.product_id, price: 1.25 });

    const lines = Array.from({ length: BATCH_LINES }, (_, i) =>
      JSON.stringify({ product_id: `p${i}`, price: i, stock: i }),
    ).join('\n');
    const batch = await served(port, '/api/v1/events/batch?ack=applied&on_error=continue', {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' },
      body: gzipSync(lines),
    });
    t.match(JSON.parse(`${batch.body}`), { accepted: BATCH_LINES });
    const exported = await served(port, '/api/v1/products', {
      headers: { accept: 'application/x-ndjson', 'accept-encoding': 'gzip' },
    });
    t.equal(exported.headers['content-encoding'], 'gzip');
    t.equal(`${gunzipSync(exported.body)}`.trimEnd().split('\n').length, BATCH_LINES + 1);

    for (const inside of ['/metrics', '/debug/pprof/heap', '/status/stream']) {
      const { status, headers } = await ask(port, inside);
      t.equal(status, 404, inside);
      t.not(headers['content-type'], 'application/problem+json', 'the proxy itself says so');
    }
    t.equal((await served(port, '/livez')).status, 200);
  });

  t.test(`${name}: a stream of changes begins at once, and each change arrives`, async (t) => {
    const service = await ServiceProcess.start(t, { cwd: tempDir(t) });
    const port = await freePort();
    await startOne(t, port, await service.ready());
    await served(port, '/livez');
    const reply = await polled(() => streamOf(t, port), WAIT_MS_MAX, 'a stream');
    let text = '';
    reply.on('error', () => undefined);
    reply.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await polled(() => text.includes('event: position') || undefined, WAIT_MS_MAX, 'its position');
    await served(port, '/api/v1/events', json({ product_id: 'x', price: 7, stock: 1 }));
    await polled(() => text.includes('"price":7') || undefined, WAIT_MS_MAX, 'the change');
    t.pass('both came');
  });

  t.test(`${name}: a restart under load breaks no request and loses nothing`, async (t) => {
    const cwd = tempDir(t);
    const servicePort = await freePort();
    const env = { ...DRAIN, PORT: `${servicePort}` };
    const service = await ServiceProcess.start(t, { cwd, env });
    const port = await freePort();
    await startOne(t, port, servicePort);
    await served(port, '/livez');

    const ledger = new AckLedger();
    const tally: Record<string, number> = {};
    let isOver = false;
    const lanes = Array.from({ length: LANES }, (_, lane) =>
      writeLane(port, lane, ledger, tally, () => isOver),
    );
    await polled(() => ledger.acknowledgements > 200 || undefined, WAIT_MS_MAX, 'a beginning');
    t.strictSame(await service.stop(), { code: 0, signal: null });
    const before = ledger.acknowledgements;
    const next = await ServiceProcess.start(t, { cwd, env });
    await polled(
      () => ledger.acknowledgements > before + 200 || undefined,
      WAIT_MS_MAX,
      'writes after the restart',
    );
    isOver = true;
    await Promise.all(lanes);
    t.comment(tally);
    t.strictSame(
      Object.keys(tally).filter((outcome) => !/^(202|502|503|504)$/.test(outcome)),
      [],
      'each request was answered',
    );
    t.strictSame(await faultsOf(ledger, await next.ready()), [], 'nothing acknowledged is lost');
  });
}

/** Asks until the proxy has a service: it may not have found it yet, or a look at it took too long. */
function served(port: number, path: string, how: Ask = {}): Promise<Reply> {
  const once = async () => {
    const reply = await ask(port, path, how);
    return [502, 503, 504].includes(reply.status) ? undefined : reply;
  };
  return polled(once, WAIT_MS_MAX, `an answer to ${path}`);
}

/** Follows the changes; `undefined` where the proxy has no service just now. */
async function streamOf(t: Test, port: number): Promise<IncomingMessage | undefined> {
  const stream = get({
    host: '127.0.0.1',
    port,
    path: '/api/v1/changes',
    headers: { accept: 'text/event-stream' },
    agent: false,
  });
  t.teardown(() => stream.destroy());
  stream.on('error', () => undefined);
  const [reply] = (await bounded(once(stream, 'response'), WAIT_MS_MAX, 'headers')) as [
    IncomingMessage,
  ];
  return reply.statusCode === 200 ? reply : undefined;
}

/** One connection that writes one event after the other, whatever it is answered. */
async function writeLane(
  port: number,
  lane: number,
  ledger: AckLedger,
  tally: Record<string, number>,
  isOver: () => boolean,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  while (!isOver()) {
    const event = ledger.attempt(`lane ${lane}`);
    const outcome = await ask(port, '/api/v1/events', { ...json(event), agent }).then(
      ({ status, body }) => {
        if (status === 202) ledger.acknowledged(event, JSON.parse(`${body}`).seq);
        return `${status}`;
      },
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    );
    tally[outcome] = (tally[outcome] ?? 0) + 1;
    if (outcome !== '202') await new Promise((resolve) => setTimeout(resolve, 20));
  }
  agent.destroy();
}
