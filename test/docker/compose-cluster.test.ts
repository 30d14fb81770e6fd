/**
 * The compose file of a cluster, and what it mounts: three NATS servers that only the instances reach, three
 * instances, HAProxy before them. Names, ports, times and sizes fit each other; the commands in its head make the
 * secrets that the services read. test/system-tools/deployed-cluster.test.ts runs what it describes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { parseBytes, parseDuration } from '../../src/config/quantity.ts';
import { withSecretFiles } from '../../src/config/secret-files.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { type Mounted, readCompose, servicesOf } from './compose-file.ts';
import { only, parseDockerfile } from './dockerfile.ts';

const compose = readCompose('deploy/compose/cluster.yml');
const { services, volumes, networks = {}, configs = {}, secrets = {} } = compose;
const INSTANCES = servicesOf(compose, 'product-service');
const NATS = servicesOf(compose, 'nats');
const [PROXY = ''] = servicesOf(compose, 'haproxy');
const stages = parseDockerfile(readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8'));
const image = stages[stages.length - 1];
const natsConf = mounted('nats');
const proxyConf = mounted('haproxy');

function mounted(config: string): string {
  return readFileSync(join(dirname(compose.path), configs[config].file), 'utf8');
}

/** Runs the lines of the file's head that make the secrets; returns the folder that they lie in. */
function madeSecrets(t: Parameters<typeof tempDir>[0]): string {
  const head = readFileSync(compose.path, 'utf8').split('\n\n')[0] ?? '';
  const lines = head.split('\n').map((line) => line.replace(/^# */, ''));
  const made = lines.filter((line) => /^(openssl |password=|echo )/.test(line));
  t.equal(made.length, 4);
  const folder = tempDir(t);
  mkdirSync(join(folder, 'secrets'));
  execFileSync('sh', ['-ec', made.join('\n')], { cwd: folder });
  return join(folder, 'secrets');
}

t.test('three of each, every one with a volume of its own', (t) => {
  t.equal(NATS.length, 3);
  t.equal(INSTANCES.length, 3);
  const used = [...NATS, ...INSTANCES].map((name) => services[name].volumes.join());
  t.same(
    used.map((one) => one.split(':')[0]).sort(),
    Object.keys(volumes).sort(),
    'each once, all named',
  );
  const storeDir = /store_dir: (\S+)/.exec(natsConf)?.[1];
  for (const name of NATS) t.equal(services[name].volumes[0].split(':')[1], storeDir);
  const [first, ...others] = INSTANCES.map((name) => services[name]);
  for (const { environment } of others) t.same(environment, first.environment, 'they are alike');
  t.end();
});

t.test('nobody but the instances reaches NATS', (t) => {
  const open = Object.keys(networks).filter((name) => networks[name]?.internal !== true);
  const [internal] = Object.keys(networks).filter((name) => networks[name]?.internal === true);
  for (const name of NATS) {
    t.same(services[name].networks, [internal], `${name} has no way out`);
    t.equal(services[name].ports, undefined, 'and no port of the machine');
  }
  const there = Object.keys(services).filter((name) => services[name].networks?.includes(internal));
  t.same(there.sort(), [...NATS, ...INSTANCES, 'init'].sort());
  t.same(services[PROXY].networks, open);
  t.match(natsConf, /^authorization \{$/m, 'and they need a password');
  t.end();
});

t.test('the commands in its head make the secrets that the services read', (t) => {
  const folder = madeSecrets(t);
  const { environment } = services[INSTANCES[0]];
  const files = Object.fromEntries(
    Object.entries(environment).flatMap(([name, value]) =>
      name.endsWith('_FILE') ? [[name, join(folder, value.replace('/run/secrets/', ''))]] : [],
    ),
  );
  const config = loadConfig(withSecretFiles({ ...image.env, ...environment, ...files }));
  const addresses = config.natsUrl?.split(',').map((address) => new URL(address)) ?? [];
  t.same(
    addresses.map(({ host }) => host),
    NATS.map((name) => `${name}:${/listen: 0\.0\.0\.0:(\d+)/.exec(natsConf)?.[1]}`),
  );
  const password = readFileSync(join(folder, 'nats_password.conf'), 'utf8').trimEnd();
  t.equal(password, `password: "${addresses[0].password}"`);
  t.match(natsConf, `user: ${addresses[0].username}`);
  for (const { file } of Object.values(secrets)) {
    t.doesNotThrow(() => readFileSync(join(folder, file.replace('secrets/', ''))), file);
  }
  for (const name of [...NATS, ...INSTANCES]) {
    for (const one of services[name].secrets ?? []) {
      t.ok(Object.hasOwn(secrets, typeof one === 'string' ? one : one.source));
    }
  }
  const [password_] = (services[NATS[0]].secrets ?? []) as readonly Mounted[];
  const [conf] = services[NATS[0]].configs ?? [];
  t.equal(dirname(password_.target), dirname(conf.target), 'include looks beside the file');
  t.match(natsConf, `include ${password_.target.slice(dirname(conf.target).length + 1)}`);
  t.same(services[NATS[0]].command, ['--config', conf.target]);
  t.end();
});

t.test('NATS servers know each other, by the names that they have', (t) => {
  const port = /listen: 0\.0\.0\.0:(\d+)\n {2}routes/.exec(natsConf)?.[1];
  t.same(
    natsConf.match(/nats:\/\/\S+/g),
    NATS.map((name) => `nats://${name}:${port}`),
  );
  for (const name of NATS) t.same(services[name].environment, { SERVER_NAME: name });
  const monitor = /http: 0\.0\.0\.0:(\d+)/.exec(natsConf)?.[1];
  t.match(services[NATS[0]].healthcheck?.test, [/^CMD$/, /^wget$/]);
  t.match(
    JSON.stringify(services[NATS[0]].healthcheck?.test),
    `http://127.0.0.1:${monitor}/healthz`,
  );
  t.end();
});

t.test('the cluster is begun by hand, and fits', (t) => {
  const { init } = services;
  t.same(init.profiles, ['init'], 'no `up` runs it');
  t.equal(init.restart, 'no');
  const [node, main, ...args] = init.command ?? [];
  t.match(only(image, 'CMD')?.rest, main);
  t.equal(node, 'node');
  t.same(args.slice(0, 4), ['cluster', 'init', '--replicas', String(NATS.length)]);
  const size = parseBytes(args[args.indexOf('--size') + 1]) ?? Number.POSITIVE_INFINITY;
  const room = parseBytes(/max_file_store: (\S+)/.exec(natsConf)?.[1] ?? '') ?? 0;
  t.ok(size <= room, 'the stream is reserved at once');
  t.same(init.environment, services[INSTANCES[0]].environment, 'with what all instances have');
  t.end();
});

t.test('HAProxy asks and turns away in time, and knows each instance', (t) => {
  const { environment } = services[INSTANCES[0]];
  const [, readers = '', writers = ''] = proxyConf.split(/^backend .*$/m);
  for (const [backend, probe] of [
    [readers, 'GET /readyz?for=reads'],
    [writers, 'GET /readyz'],
  ]) {
    t.ok(backend.includes(`option httpchk ${probe}\n`), probe);
    t.same(
      [...backend.matchAll(/^ {2}server \S+ (\S+)$/gm)].map(([, address]) => address),
      INSTANCES.map((name) => `${name}:${environment.PORT}`),
    );
  }
  const [, inter = '', fall = ''] = /check inter (\S+) fall (\d+)/.exec(proxyConf) ?? [];
  const seenMs = (parseDuration(inter) ?? 0) * Number(fall);
  t.ok(seenMs > 0 && seenMs < (parseDuration(environment.DRAIN_DELAY) ?? 0));
  const timeoutMs = parseDuration(/timeout server (\S+)/.exec(proxyConf)?.[1] ?? '') ?? 0;
  const config = loadConfig({ ...environment, NATS_URL: 'nats://n', JWT_SECRET: 's'.repeat(32) });
  t.ok(timeoutMs > config.storageTimeoutMs);
  t.ok(timeoutMs > config.changesHeartbeatMs);
  const bound = /bind :(\d+)/.exec(proxyConf)?.[1];
  t.same(services[PROXY].ports, [`127.0.0.1:${bound}:${bound}`]);
  t.end();
});
