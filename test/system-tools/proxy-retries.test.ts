/**
 * What HAProxy, as deploy/ configures it, sends a second time: a write under a key, whatever became of the first try;
 * without a key nothing that reached an instance, for that would count twice.
 */
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { type Ask, ask, json } from '../helpers/clients/ask.ts';
import { startProxy } from '../helpers/clients/proxy.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const HAPROXY = '/usr/sbin/haproxy';
const skip = !existsSync(HAPROXY) && process.env.CI !== 'true';
const WAIT_MS_MAX = 60_000;
const KEY = { 'idempotency-key': 'k' };
/** Of what a machine that stands still may spoil: an instance that is late to a look is given nothing for a while. */
const TRIES = 10;
const PAUSE_MS = 1000;

/** How often each path was asked for, at all instances. */
type Counts = Map<string, number>;
type First = (response: ServerResponse, request: IncomingMessage) => void;

const FIRSTS: Readonly<Record<string, First>> = {
  'a connection that breaks': (_, request) => void request.socket.destroy(),
  'a 503': (response) => void response.writeHead(503).end('{"outcome":"unknown"}'),
};

/** An instance whose answer to the first request for a path, wherever that went, is `first`. */
async function instance(t: Test, counts: Counts, first: First): Promise<number> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      const path = request.url ?? '';
      if (path.startsWith('/readyz')) return response.end('{}');
      const count = (counts.get(path) ?? 0) + 1;
      counts.set(path, count);
      return count === 1 ? first(response, request) : response.writeHead(202).end('{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

const CONFIGURATIONS = {
  'haproxy.cfg': ['127.0.0.1:8080'],
  'cluster.cfg': ['product-service-1:8080', 'product-service-2:8080', 'product-service-3:8080'],
};

for (const [file, addresses] of Object.entries(CONFIGURATIONS)) {
  for (const [what, first] of Object.entries(FIRSTS)) {
    // One instance is given nothing again that broke: there is nobody else, and it restarts.
    const isAgain = what === 'a 503' || addresses.length > 1;
    t.test(`${file}, ${what}`, { skip }, async (t) => {
      const counts: Counts = new Map();
      const port = await freePort();
      let text = readFileSync(new URL(`../../deploy/haproxy/${file}`, import.meta.url), 'utf8')
        .replace('bind 127.0.0.1:8000', `bind 127.0.0.1:${port}`)
        .replace('bind :8000', `bind 127.0.0.1:${port}`);
      for (const address of addresses) {
        text = text.replaceAll(address, `127.0.0.1:${await instance(t, counts, first)}`);
      }
      const path = join(tempDir(t), file);
      writeFileSync(path, text);
      await startProxy(t, HAPROXY, ['-db', '-f', path], port);
      const isUp = async () => {
        const { status } = await ask(port, '/up').catch(() => ({ status: 0 }));
        return status === 202 || undefined;
      };
      await polled(isUp, WAIT_MS_MAX, 'HAProxy to have found the instances');

      const event = json({ product_id: 'p', price: 1, stock: 1 });
      const keyed = { ...event, headers: { ...event.headers, ...KEY } };
      /** Asks, each time for another path, until that came to the instances as often as it is to. */
      const asked = async (name: string, how: Ask, times: number) => {
        for (let tries = 1; ; tries++) {
          const path = `/${name}-${tries}`;
          const { status } = await ask(port, path, how).catch(() => ({ status: 0 }));
          const count = counts.get(path) ?? 0;
          if (count >= times || tries === TRIES) return { status, count };
          await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
        }
      };
      const withKey = await asked('keyed', keyed, isAgain ? 2 : 1);
      t.equal(withKey.status === 202, isAgain, `under a key: ${withKey.status}`);
      t.equal(withKey.count, isAgain ? 2 : 1);
      const bare = await asked('bare', event, 1);
      t.not(bare.status, 202, `without a key: ${bare.status}`);
      t.equal(bare.count, 1, 'it came once');
    });
  }
}
