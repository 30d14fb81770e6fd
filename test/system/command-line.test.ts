/** The process as an operator meets it: arguments, configuration, refusals, signals, exit codes. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PART_FORMAT } from '../../src/checkpoint/part-format.ts';
import { CONFIG_KEYS, variableOf } from '../../src/config/schema.ts';
import { FORMAT_VERSION } from '../../src/log/format.ts';
import { polled } from '../helpers/bounded.ts';
import { eventHead, RawConnection } from '../helpers/clients/raw-connection.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { type ProcessOptions, ServiceProcess } from '../helpers/processes/service-process.ts';

const EXIT_MS_MAX = 60_000;
const ONE_LINE = /^product-service: [^\n]+\n$/;

/** Runs it to its end. */
async function run(t: Test, options: Partial<ProcessOptions>) {
  const service = ServiceProcess.spawn(t, { cwd: tempDir(t), ...options });
  const { code } = await service.exit();
  return { code, stdout: service.stdout, stderr: service.stderr };
}

t.test('--help prints every variable and starts nothing', async (t) => {
  const cwd = tempDir(t);
  const { code, stdout, stderr } = await run(t, { cwd, args: ['--help'] });
  t.equal(code, 0);
  t.equal(stderr, '');
  t.match(stdout, /^Usage: /);
  for (const key of CONFIG_KEYS) {
    const { env, defaultText } = variableOf(key);
    t.ok(stdout.includes(`\n  ${env} `) && stdout.includes(defaultText), env);
  }
  t.strictSame(readdirSync(cwd), [], 'no data folder was made');
});

t.test('--check-config validates and starts nothing', async (t) => {
  const cwd = tempDir(t);
  const args = ['--check-config'];
  const good = await run(t, { cwd, args });
  t.strictSame(good, { code: 0, stdout: 'configuration is valid\n', stderr: '' });
  const bad = await run(t, { cwd, args, env: { WORKERS: '0' } });
  t.equal(bad.code, 2);
  t.match(bad.stderr, ONE_LINE);
  t.strictSame(readdirSync(cwd), [], 'no data folder was made');
});

t.test('--check-config also refuses what does not fit the machine, as a start does', async (t) => {
  const env = { MAX_MEMORY_USAGE: '2TB', SHARDS: '1024' };
  const checked = await run(t, { env, args: ['--check-config'] });
  t.equal(checked.code, 2);
  t.match(checked.stderr, ONE_LINE);
  t.match(checked.stderr, /MAX_MEMORY_USAGE=2TB makes .*: MAX_MEMORY_USAGE=\d+MB fits\n$/);
  const cwd = tempDir(t);
  t.strictSame(await run(t, { cwd, env }), checked, 'without a line of a log');
  t.strictSame(readdirSync(cwd), [], 'no data folder was made');
});

t.test('--version and the first line of the log say what runs', async (t) => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  );
  const { code, stdout, stderr } = await run(t, { args: ['--version'] });
  t.strictSame({ code, stderr }, { code: 0, stderr: '' });
  t.equal(
    stdout,
    `product-service ${version} (Node ${process.version}; data formats: log ${FORMAT_VERSION}, checkpoint ${PART_FORMAT})\n`,
  );
  const cwd = tempDir(t);
  const service = await ServiceProcess.start(t, { cwd, env: { DATA_DIR: './d 1' } });
  const dataDir = join(cwd, 'd 1');
  t.match(service.log[0], {
    version,
    node: process.version,
    pid: service.pid,
    dataDir,
    msg: `product-service ${version} on Node ${process.version}, process ${service.pid}, data in ${dataDir}`,
  });
  t.strictSame(await service.stop(), { code: 0, signal: null });
});

/** A container may be without IPv6; what is made of such a HOST is test/config's in any case. */
const HAS_IPV6 = Object.values(networkInterfaces()).some((addresses) =>
  addresses?.some(({ address }) => address === '::1'),
);

for (const HOST of HAS_IPV6 ? ['::', '[::1]'] : []) {
  t.test(`HOST=${HOST} is listened on, and logged as a URL`, async (t) => {
    const service = await ServiceProcess.start(t, {
      cwd: tempDir(t),
      env: { HOST, ALLOW_ANONYMOUS: 'true' },
    });
    const { msg } = await service.logged('ready on');
    const url = new URL(msg.replace('ready on ', ''));
    t.equal(url.hostname, HOST === '::' ? '[::]' : HOST);
    t.equal(Number(url.port), await service.ready());
    const answer = await fetch(`http://[::1]:${url.port}/livez`);
    t.equal(answer.status, 200);
    await answer.arrayBuffer();
    t.strictSame(await service.stop(), { code: 0, signal: null });
  });
}

t.test('HOST with a port is refused before anything is opened', async (t) => {
  const { code, stderr } = await run(t, {
    args: ['--check-config'],
    env: { HOST: 'localhost:8080' },
  });
  t.equal(code, 2);
  t.match(stderr, 'HOST="localhost:8080" must be an IP address or a host name, without a port');
});

t.test('other machines are not served without authentication, unless that is said', async (t) => {
  const refused = await run(t, { env: { HOST: '0.0.0.0' } });
  t.equal(refused.code, 2);
  t.equal(refused.stdout, '');
  t.match(refused.stderr, ONE_LINE);
  t.match(refused.stderr, 'HOST=0.0.0.0 serves other machines, and nobody would need a token');
  const service = await ServiceProcess.start(t, {
    cwd: tempDir(t),
    env: { HOST: '0.0.0.0', ALLOW_ANONYMOUS: 'true' },
  });
  t.strictSame(await service.stop(), { code: 0, signal: null });
});

t.test('a wrong value is named with what is allowed, in one line', async (t) => {
  const { code, stdout, stderr } = await run(t, {
    env: { QUEUE_SIZE: 'many', SHUTDOWN_TIMEOUT: '10 parsecs' },
  });
  t.equal(code, 2);
  t.equal(stdout, '');
  t.match(stderr, ONE_LINE);
  t.match(stderr, 'QUEUE_SIZE="many" must be an integer from 1 to 1048576');
  t.match(stderr, 'SHUTDOWN_TIMEOUT="10 parsecs" must be a duration from 100ms to 1h');
});

t.test('an unknown option is refused in one line', async (t) => {
  for (const args of [['--port=1'], ['start']]) {
    const { code, stdout, stderr } = await run(t, { args });
    t.equal(code, 2);
    t.equal(stdout, '');
    t.match(stderr, ONE_LINE);
    t.match(stderr, /see --help\n$/);
  }
});

t.test('.env is read from the working folder, and the environment wins over it', async (t) => {
  const cwd = tempDir(t);
  writeFileSync(join(cwd, '.env'), '\ufeffQUEUE_SIZE=0\nDATA_DIR=./from-file\nHOST=127.0.0.1\n');
  const refused = await run(t, { cwd });
  t.equal(refused.code, 2, 'a wrong value in the file stops the start');
  t.match(refused.stderr, /QUEUE_SIZE="0"/);

  const service = await ServiceProcess.start(t, { cwd, env: { QUEUE_SIZE: '5' } });
  t.strictSame(await service.stop(), { code: 0, signal: null }, 'unless the environment sets it');
  t.ok(existsSync(join(cwd, 'from-file')), 'what only the file sets is taken from there');
});

t.test('a port in use stops the start with one line', async (t) => {
  const holder = await ServiceProcess.start(t, { cwd: tempDir(t) });
  const port = String(await holder.ready());
  const { code, stderr } = await run(t, { env: { PORT: port } });
  t.equal(code, 1);
  t.match(stderr, ONE_LINE);
  t.match(stderr, `127.0.0.1:${port}`, 'that names it');
  t.strictSame(await holder.stop(), { code: 0, signal: null });
});

t.test('a data folder that can not be made stops the start with one line', async (t) => {
  const cwd = tempDir(t);
  writeFileSync(join(cwd, 'file'), '');
  const { code, stderr } = await run(t, { cwd, env: { DATA_DIR: './file/data' } });
  t.equal(code, 1);
  t.match(stderr, ONE_LINE);
  t.match(stderr, `DATA_DIR ${join(cwd, 'file/data')}`);
});

t.test('a second signal ends it at once', async (t) => {
  const env = { SHUTDOWN_TIMEOUT: '1h', REQUEST_TIMEOUT: '1h' };
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  // An unfinished request holds the stop open.
  const client = await RawConnection.open(t, await service.ready());
  client.send(eventHead(1000));
  await client.received(/^HTTP\/1\.1 100 Continue/);
  service.kill('SIGTERM');
  await service.logged('stopping');
  let exit: { code: number | null } | undefined;
  void service.exited.then((ended) => {
    exit = ended;
  });
  // Signals close together count as one (npm repeats them), so it may take more than this one.
  await polled(
    () => {
      if (exit === undefined) service.kill('SIGINT');
      return exit;
    },
    EXIT_MS_MAX,
    'the exit',
  );
  t.strictSame(exit, { code: 1, signal: null });
  t.ok(
    service.log.some(({ msg }) => msg.startsWith('second signal')),
    'and it says so',
  );
});

t.test('SHUTDOWN_TIMEOUT ends a stop that a client holds open, cleanly', async (t) => {
  const env = { SHUTDOWN_TIMEOUT: '20s', REQUEST_TIMEOUT: '1h' };
  const service = await ServiceProcess.start(t, { cwd: tempDir(t), env });
  const client = await RawConnection.open(t, await service.ready());
  client.send(eventHead(1000));
  await client.received(/^HTTP\/1\.1 100 Continue/);
  t.strictSame(await service.stop(), { code: 0, signal: null });
  await client.end();
});
