/** TLS as operators have it: a pair made by openssl, replaced while connections are open. */
import { copyFileSync, writeFileSync } from 'node:fs';
import { Agent, type RequestOptions, request } from 'node:https';
import { connect, type TLSSocket } from 'node:tls';
import t, { type Test } from 'tap';
import { bounded, polled } from '../helpers/bounded.ts';
import { Certificates } from '../helpers/certificates.ts';
import { RawConnection } from '../helpers/clients/raw-connection.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const WAIT_MS_MAX = 30_000;
const POST = { method: 'POST', headers: { 'content-type': 'application/json' } };

const certificates = new Certificates(tempDir(t));
const fileOf = (name: string) => certificates.pathOf(name);
const install = (name: string) => certificates.install(name);
certificates.make('first');
certificates.make('second');
install('first');
const env = { ...certificates.env, HEADERS_TIMEOUT: '10m', REQUEST_TIMEOUT: '10m' };

interface Answered {
  readonly status: number | undefined;
  readonly text: string;
  readonly socket: TLSSocket;
  readonly protocol: string | null;
}

function ask(port: number, options: RequestOptions, body?: string): Promise<Answered> {
  const answered = new Promise<Answered>((resolve, reject) => {
    const call = request({ host: '127.0.0.1', servername: 'localhost', port, ...options });
    call.on('error', reject).on('response', (response) => {
      // At the end it is the agent's again.
      const socket = response.socket as TLSSocket;
      const protocol = socket.getProtocol();
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve({ status: response.statusCode, text, socket, protocol }));
    });
    call.end(body);
  });
  return bounded(answered, WAIT_MS_MAX, 'an answer over TLS');
}

/** The subject of the certificate that a new connection is shown. */
async function shown(t: Test, port: number): Promise<string> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: 'localhost',
    rejectUnauthorized: false,
  });
  t.teardown(() => socket.destroy());
  const secured = new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve).once('error', reject);
  });
  await bounded(secured, WAIT_MS_MAX, 'a handshake');
  return socket.getPeerX509Certificate()?.subject ?? '';
}

t.test('writes and reads, and nothing in plain text', async (t) => {
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  const port = await service.ready();
  t.match(service.stdout, /"ready on https:\/\//);
  const trusting = { ca: certificates.pemOf('first') };
  const body = '{"product_id":"a","price":1,"stock":2}';
  const posted = await ask(
    port,
    { ...trusting, ...POST, path: '/api/v1/events?ack=applied' },
    body,
  );
  t.equal(posted.status, 200);
  t.match(posted.protocol, /^TLSv1\.[23]$/);
  const got = await ask(port, { ...trusting, path: '/api/v1/products/a' });
  t.match(got, { status: 200, text: '{"id":"a","price":1,"stock":2}' });

  const plain = await RawConnection.open(t, port);
  plain.send('GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n');
  await bounded(plain.closed, WAIT_MS_MAX, 'the end of plain HTTP');
  t.equal(plain.text, '');

  const broken = connect({ host: '127.0.0.1', port, servername: 'localhost', ...trusting });
  t.teardown(() => broken.destroy());
  let refusal = '';
  broken.setEncoding('utf8').on('data', (text: string) => {
    refusal += text;
  });
  broken.write('no HTTP at all\r\n\r\n');
  await bounded(new Promise((resolve) => broken.once('end', resolve)), WAIT_MS_MAX, 'a refusal');
  t.match(refusal, /^HTTP\/1\.1 400 [\s\S]*"code":"bad-request"/);

  // One idle, one that never says hello: neither holds up the end.
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  await ask(port, { ...trusting, agent, path: '/health' });
  await RawConnection.open(t, port);
  t.strictSame(await service.stop(), { code: 0, signal: null });
});

t.test('SIGHUP brings the new certificate to new connections, and the others go on', async (t) => {
  install('first');
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  const port = await service.ready();
  t.equal(await shown(t, port), 'CN=first');
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.teardown(() => agent.destroy());
  const kept = { agent, ca: certificates.pemOf('first'), path: '/health' };
  const before = await ask(port, kept);

  install('second');
  service.kill('SIGHUP');
  await service.logged('TLS: certificate read anew');
  t.equal(await shown(t, port), 'CN=second');
  const after = await ask(port, kept);
  t.equal(after.status, 200);
  t.equal(after.socket, before.socket, 'the connection is the one from before');

  const useless: readonly [reason: RegExp, break_: () => void][] = [
    [/TLS_CERT=\S+ has no certificate to use/, () => writeFileSync(fileOf('tls.crt'), '')],
    [
      /TLS_KEY=\S+ is not the key of TLS_CERT=/,
      () => copyFileSync(fileOf('first.crt'), fileOf('tls.crt')),
    ],
    [/TLS_KEY=\S+ has no private key to use/, () => writeFileSync(fileOf('tls.key'), 'x')],
  ];
  for (const [reason, breakIt] of useless) {
    const said = service.log.length;
    breakIt();
    service.kill('SIGHUP');
    const line = await service.logged('TLS: the certificate before stays');
    t.ok(line);
    const told = () => {
      const reasons = service.log.slice(said).map((each) => String(each.reason));
      return reasons.some((each) => reason.test(each)) ? true : undefined;
    };
    await polled(told, WAIT_MS_MAX, String(reason));
    t.equal(await shown(t, port), 'CN=second', String(reason));
  }
  t.strictSame(await service.stop(), { code: 0, signal: null });
});

t.test('a start with a pair that is none says which, in one line', async (t) => {
  copyFileSync(fileOf('first.crt'), fileOf('tls.crt'));
  copyFileSync(fileOf('second.key'), fileOf('tls.key'));
  const service = ServiceProcess.spawn(t, { cwd: tempDir(t), env });
  const { code } = await service.exit();
  t.equal(code, 1);
  t.match(service.stderr, /^[^\n]*TLS_KEY=\S+ is not the key of TLS_CERT=\S+\n$/);
});
