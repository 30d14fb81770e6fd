/** Several threads on one port: who may listen there, and with which certificate. */
import { connect } from 'node:tls';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { Certificates } from '../helpers/certificates.ts';
import { ThreadConnection } from '../helpers/clients/thread-connections.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startReadyService, startService } from '../helpers/processes/service-in-process.ts';
import { freePort } from '../helpers/servers/free-port.ts';

const WAIT_MS_MAX = 60_000;

t.test('a port where somebody listens is refused, as ever', async (t) => {
  for (const [first, second] of [
    ['2', '2'],
    ['2', '1'],
    ['1', '2'],
  ] as const) {
    const PORT = String(await freePort());
    await startReadyService(t, { DATA_DIR: tempDir(t), HTTP_THREADS: first, PORT });
    await t.rejects(startService(t, { DATA_DIR: tempDir(t), HTTP_THREADS: second, PORT }), {
      code: 'EADDRINUSE',
    });
  }
});

t.test('of services that start at the same time one has the port', async (t) => {
  const PORT = String(await freePort());
  const starts = await Promise.allSettled(
    ['2', '3', '2', '1'].map((HTTP_THREADS) =>
      startService(t, { DATA_DIR: tempDir(t), HTTP_THREADS, PORT }),
    ),
  );
  t.equal(starts.filter(({ status }) => status === 'fulfilled').length, 1);
  for (const start of starts)
    if (start.status === 'rejected') t.equal(start.reason.code, 'EADDRINUSE');
});

t.test('a name and all addresses are listened on by all threads', async (t) => {
  for (const HOST of ['localhost', '::', '0.0.0.0']) {
    const { port, service } = await startReadyService(t, {
      DATA_DIR: tempDir(t),
      HTTP_THREADS: '2',
      HOST,
      ALLOW_ANONYMOUS: 'true',
    });
    const host = new URL(
      `http://${service.http.place.host.includes(':') ? '[::1]' : '127.0.0.1'}:${port}`,
    );
    const threads = new Set<string>();
    for (let i = 0; i < 100 && threads.size < 2; i++) {
      const answer = await fetch(new URL('/livez', host), { headers: { connection: 'close' } });
      threads.add(String(answer.headers.get('x-request-id')).replace(/-[^-]*$/, ''));
      await answer.text();
    }
    t.equal(threads.size, 2, HOST);
  }
});

t.test('a new certificate is that of all threads', async (t) => {
  const certificates = new Certificates(tempDir(t));
  certificates.make('first');
  certificates.make('second');
  certificates.install('first');
  const { port, service } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    HTTP_THREADS: '3',
    ...certificates.env,
  });
  t.strictSame(await subjects(port), ['first']);
  certificates.install('second');
  await service.http.reloadTls();
  // The others hear of it a moment later.
  const areNew = async () => (await subjects(port)).join() === 'second' || undefined;
  await polled(areNew, WAIT_MS_MAX, 'all to have it');
});

/** Of the certificates that 40 connections are given. */
async function subjects(port: number): Promise<string[]> {
  const found = new Set<string>();
  for (let i = 0; i < 40; i++) {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false });
    await new Promise((resolve, reject) => {
      socket.once('secureConnect', resolve);
      socket.once('error', reject);
    });
    found.add(String(socket.getPeerCertificate().subject.CN));
    socket.destroy();
  }
  return [...found].sort();
}

t.test('administration apart is served by the main thread alone', async (t) => {
  const { port, service } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    HTTP_THREADS: '3',
    ADMIN_PORT: '0',
  });
  for (let i = 0; i < 20; i++) {
    const on = new ThreadConnection(t, port);
    t.equal((await on.send('GET', '/metrics')).status, 404);
    on.close();
  }
  const admin = new ThreadConnection(t, service.adminPort ?? 0);
  t.equal((await admin.send('GET', '/metrics')).status, 200);
});
