/** Every way to get into NATS, at Debian's server, what is said where there is none, and the rights that it takes. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, credsAuthenticator, nkeyAuthenticator, nkeys } from '@nats-io/transport-node';
import t from 'tap';
import { Certificates } from '../helpers/certificates.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine } from '../helpers/processes/command-line.ts';
import { ClusterUnderTest } from '../helpers/replication/cluster-under-test.ts';
import { natsAccounts } from '../helpers/servers/nats-accounts.ts';
import { startNats } from '../helpers/servers/nats-server.ts';

const isMissing = !existsSync('/usr/sbin/nats-server');
const skip = isMissing && process.env.CI !== 'true';
const PASSWORD = 'correct horse';
const WAIT_MS_MAX = 60_000;

t.test('with TLS on both sides and a password, which nobody is shown', { skip }, async (t) => {
  const folder = tempDir(t);
  const certificates = new Certificates(folder);
  for (const name of ['server', 'client', 'other']) certificates.make(name);
  const paths = {
    NATS_TLS_CA: certificates.pathOf('server.crt'),
    NATS_TLS_CERT: certificates.pathOf('client.crt'),
    NATS_TLS_KEY: certificates.pathOf('client.key'),
  };
  const nats = await startNats(t, 1, {
    config: [
      `authorization { user: shop, password: "${PASSWORD}" }`,
      `tls { cert_file: "${certificates.pathOf('server.crt')}", key_file: "${certificates.pathOf('server.key')}"`,
      `  ca_file: "${paths.NATS_TLS_CERT}", verify: true }`,
    ].join('\n'),
    client: {
      user: 'shop',
      pass: PASSWORD,
      tls: {
        caFile: paths.NATS_TLS_CA,
        certFile: paths.NATS_TLS_CERT,
        keyFile: paths.NATS_TLS_KEY,
      },
    },
  });
  const url = nats.url.replace('nats://127.0.0.1', 'tls://localhost');
  const password = join(folder, 'password');
  writeFileSync(password, `${PASSWORD}\n`);
  const login = { NATS_USER: 'shop', NATS_PASSWORD_FILE: password };
  const cluster = await ClusterUnderTest.begin(t, url, 1, { ...login, ...paths });
  const a = await cluster.start('a');
  const { status } = await a.post({ product_id: 'p', price: 1, stock: 1 });
  t.equal(status, 202);
  const said = a.process.stdout + a.process.stderr;
  t.match(said, 'NATS_PASSWORD=***');
  t.notMatch(said, PASSWORD);
  await a.stop();

  const wrong = { NATS_PASSWORD: 'battery staple', NATS_PASSWORD_FILE: '' };
  const refused = 'NATS refuses the credentials (Authorization Violation)';
  const tries = async (more: Readonly<Record<string, string>>) =>
    (await cluster.tries('new', more)).split('\n', 1)[0];
  t.equal(await tries(wrong), `product-service: ${refused}`);
  // An instance that has been there serves reads, and says why it takes no writes.
  const back = await cluster.start('a', wrong, '?for=reads');
  t.match(await back.get('p'), { status: 200, body: { price: 1 } });
  await cluster.polled(async () =>
    back.process.log.some(({ reason }) => reason === refused) ? true : undefined,
  );
  t.equal((await back.ready()).status, 503);
  t.notMatch(back.process.stdout, 'battery staple');
  await back.stop();

  const other = certificates.pathOf('other.crt');
  t.match(await tries({ NATS_TLS_CA: other }), /^product-service: NATS cannot be reached: .*$/);
  const none = { NATS_TLS_CERT: '', NATS_TLS_KEY: '' };
  t.match(await tries(none), /^product-service: NATS cannot be reached: .*$/);
  const byAddress = { NATS_URL: url.replace('localhost', '127.0.0.1') };
  t.match(await tries(byAddress), /does not match certificate's altnames/);
  t.match(await tries({ NATS_TLS_CA: join(folder, 'none') }), /NATS_TLS_CA=.* can't be read/);
  t.match(await tries({ NATS_TLS_CA: password }), /NATS_TLS_CA=.* has no certificate to use/);
  const foreign = { NATS_TLS_KEY: certificates.pathOf('other.key') };
  t.match(await tries(foreign), /NATS_TLS_CA, NATS_TLS_CERT, NATS_TLS_KEY: of no use \(.*\)$/);
});

t.test('a server without TLS is not taken where TLS is asked for', { skip }, async (t) => {
  const nats = await startNats(t);
  const env = { LOG: 'jetstream', CLUSTER: 'c', NATS_URL: nats.url.replace('nats:', 'tls:') };
  const done = await runCommandLine(t, ['cluster', 'init'], { env, cwd: tempDir(t) });
  t.match(done, { code: 1, stderr: /NATS cannot be reached: server does not support 'tls'/ });
});

t.test('a server by its address, which its certificate names', { skip }, async (t) => {
  const certificates = new Certificates(tempDir(t));
  certificates.make('server', 'IP:127.0.0.1,DNS:localhost');
  certificates.make('elsewhere', 'IP:127.0.0.2,DNS:localhost');
  const begins = async (name: string) => {
    const cert = certificates.pathOf(`${name}.crt`);
    const nats = await startNats(t, 1, {
      config: `tls { cert_file: "${cert}", key_file: "${certificates.pathOf(`${name}.key`)}" }`,
      client: { tls: { caFile: cert } },
    });
    const env = { LOG: 'jetstream', CLUSTER: 'c', NATS_URL: nats.url, NATS_TLS_CA: cert };
    return runCommandLine(t, ['cluster', 'init'], { env, cwd: tempDir(t) });
  };
  t.match(await begins('server'), { code: 0 });
  t.match(await begins('elsewhere'), { code: 1, stderr: /altnames/ });
});

t.test('with a token, an nkey or a file of credentials', { skip }, async (t) => {
  const folder = tempDir(t);
  const user = nkeys.createUser();
  const seed = new TextDecoder().decode(user.getSeed());
  const accounts = natsAccounts();
  const strangers = natsAccounts();
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const creds = write('user.creds', accounts.creds);
  const asUser = { authenticator: credsAuthenticator(new TextEncoder().encode(accounts.creds)) };
  const asKey = { authenticator: nkeyAuthenticator(user.getSeed()) };
  const ways = [
    {
      access: { config: 'authorization { token: "t0ken" }', client: { token: 't0ken' } },
      right: { NATS_TOKEN: 't0ken' },
      wrong: { NATS_TOKEN: 'other' },
    },
    {
      access: {
        config: `authorization { users: [{ nkey: ${user.getPublicKey()} }] }`,
        client: asKey,
      },
      right: { NATS_NKEY_SEED: seed },
      wrong: { NATS_NKEY_SEED: new TextDecoder().decode(nkeys.createUser().getSeed()) },
    },
    {
      access: { config: accounts.config, client: asUser },
      right: { NATS_CREDS: creds },
      wrong: { NATS_CREDS: write('stranger.creds', strangers.creds) },
    },
  ];
  for (const { access, right, wrong } of ways) {
    const nats = await startNats(t, 1, access);
    const run = (more: Readonly<Record<string, string>>) => {
      const env = { LOG: 'jetstream', CLUSTER: 'c', NATS_URL: nats.url, ...more };
      return runCommandLine(t, ['cluster', 'init', '--size', '1MB'], { env, cwd: folder });
    };
    const refused = /^product-service: NATS refuses the credentials \(.*\)\n$/;
    t.match(await run(wrong), { code: 1, stderr: refused });
    t.match(await run({}), { code: 1, stderr: refused });
    t.match(await run(right), { code: 0, stdout: /^cluster c: created/ });
  }
  const env = { LOG: 'jetstream', CLUSTER: 'c', NATS_URL: 'nats://127.0.0.1:1' };
  const said = async (more: Readonly<Record<string, string>>) =>
    (await runCommandLine(t, ['cluster', 'init'], { env: { ...env, ...more }, cwd: folder }))
      .stderr;
  t.match(
    await said({ NATS_CREDS: write('none.creds', 'none') }),
    /NATS_CREDS=.* holds no credentials/,
  );
  t.match(
    await said({ NATS_CREDS: join(folder, 'missing') }),
    /NATS_CREDS=.* can't be read \(ENOENT\)/,
  );
  // Not the last character, which has bits that mean nothing.
  const typo = `${seed.slice(0, 20)}${seed[20] === 'A' ? 'B' : 'A'}${seed.slice(21)}`;
  const bad = await said({ NATS_NKEY_SEED: typo });
  t.match(bad, /NATS_NKEY_SEED is no seed of an nkey/);
  t.notMatch(bad, typo);
});

/** The rights that docs/cluster.md names, in its table's row of `who`. */
function rightsOf(who: string, cluster: string): string {
  const page = readFileSync(new URL('../../docs/cluster.md', import.meta.url), 'utf8');
  const [, ...cells] = new RegExp(`^\\| ${who} \\|(.*)\\|(.*)\\|$`, 'm').exec(page) ?? [];
  const [publish, subscribe] = cells.map((cell) =>
    JSON.stringify(
      Array.from(cell.matchAll(/`([^`]+)`/g), ([, subject]) => subject.replace('CLUSTER', cluster)),
    ),
  );
  return `{ publish: { allow: ${publish} }, subscribe: { allow: ${subscribe} } }`;
}

t.test('with no more rights than the page names', { skip }, async (t) => {
  const name = 'shop';
  const logPath = join(tempDir(t), 'nats.log');
  const full = rightsOf('an instance, `cluster init` and `cluster status`', name);
  const reading = rightsOf('one with `ROLE=reader`', name);
  const client = { user: 'test', pass: 'test' };
  const nats = await startNats(t, 1, {
    config: [
      `log_file: ${JSON.stringify(logPath)}`,
      'authorization { users: [',
      '  { user: test, password: test }',
      `  { user: full, password: full, permissions: ${full} }`,
      `  { user: reader, password: reader, permissions: ${reading} }`,
      '] }',
    ].join('\n'),
    client,
  });
  const login = { CLUSTER: name, NATS_USER: 'full', NATS_PASSWORD: 'full' };
  const asReader = { ROLE: 'reader', NATS_USER: 'reader', NATS_PASSWORD: 'reader' };
  const cluster = await ClusterUnderTest.begin(t, nats.url, 1, login);
  const [a, b] = await Promise.all(['a', 'b'].map((each) => cluster.start(each)));
  const reader = await cluster.start('r', asReader);
  const written = await a.post({ product_id: 'p', price: 1, stock: 1 });
  t.equal(written.status, 202);
  for (const each of [b, reader]) {
    t.match(await each.get('p', Number(written.body.seq)), { status: 200, body: { price: 1 } });
  }
  const { instances, stream } = await cluster.status(3);
  t.strictSame(
    new Set(instances.map(({ pid }) => pid)),
    new Set([a, b, reader].map(({ process }) => process.pid)),
  );

  // Those that come now take over the data of another one.
  const connection = await connect({ ...client, servers: nats.url });
  t.teardown(() => connection.close());
  await connection.request(
    `$JS.API.STREAM.PURGE.PS_${name}_1`,
    JSON.stringify({ seq: stream.last + 1 }),
    { timeout: WAIT_MS_MAX },
  );
  const after = await cluster.posted(a, { product_id: 'p', price: 2, stock: 1 });
  const joined = [await cluster.start('c'), await cluster.start('s', asReader)];
  for (const each of joined) {
    t.ok(each.process.log.some(({ msg }) => msg.startsWith('joining: took over')));
    t.match(await each.get('p', after), { status: 200, body: { price: 2 } });
  }
  t.notMatch(readFileSync(logPath, 'utf8'), /Violation/);
});
