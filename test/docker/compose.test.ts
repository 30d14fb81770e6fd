/**
 * The compose files, the one to try the service with, those for production of one instance and of a cluster: valid by
 * Compose's own schema, and what they say (limits, restart, grace, isolation, ports, secrets) fits the service and the image.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DCLinter } from 'dclint';
import t from 'tap';
import { isAuthenticated } from '../../src/config/access.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseBytes, parseDuration } from '../../src/config/quantity.ts';
import { CONFIG_KEYS, variableOf } from '../../src/config/schema.ts';
import {
  fileVariableOf,
  SECRET_VARIABLES,
  withSecretFiles,
} from '../../src/config/secret-files.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { readCompose, servicesOf } from './compose-file.ts';
import { only, parseDockerfile } from './dockerfile.ts';

const TRIAL = 'docker-compose.yml';
const PRODUCTION = 'deploy/compose/docker-compose.yml';
const CLUSTER = 'deploy/compose/cluster.yml';
const FILES = [TRIAL, PRODUCTION, CLUSTER];
/** Rules of taste: order of keys, quotes; and those that variables, or an image of our own, break. */
const OFF = [
  'no-build-and-image',
  'no-unbound-port-interfaces',
  'require-quotes-in-ports',
  'service-image-require-explicit-tag',
  'service-keys-order',
  'services-alphabetical-order',
] as const;
const rules = Object.fromEntries(OFF.map((rule) => [rule, 0 as const]));
const dockerfile = new URL('../../Dockerfile', import.meta.url);
const stages = parseDockerfile(readFileSync(dockerfile, 'utf8'));
const image = stages[stages.length - 1];
const SECRET = 's'.repeat(32);
const secretOf = (secret: string) => (secret === 'NATS_URL' ? 'nats://u:p@nats-1:4222' : SECRET);

/** What the linter says of a file; its own types can't be resolved by a module that is one of Node's. */
interface Linted {
  readonly messages: readonly { readonly rule: string; readonly message: string }[];
}

function lint(path: string): string[] {
  const linter = new DCLinter({ rules, quiet: false, debug: false, exclude: [] });
  const results: readonly Linted[] = linter.lintFiles([path], false);
  return results.flatMap(({ messages }) =>
    messages.map(({ rule, message }) => `${rule}: ${message}`),
  );
}

t.test('the linter finds nothing, by schema and rules', (t) => {
  for (const file of FILES) t.strictSame(lint(readCompose(file).path), [], file);
  const wrong = join(tempDir(t), 'docker-compose.yml');
  writeFileSync(wrong, 'name: x\nservices:\n  a:\n    image: a:1\n    restart_policy: no\n');
  t.match(lint(wrong), [/^invalid-schema: .*additional properties/], 'and it would find something');
  t.end();
});

const INSTANCES = FILES.flatMap((file) => {
  const compose = readCompose(file);
  return servicesOf(compose, 'product-service').map((name) => ({ file, compose, name }));
});

for (const { file, compose, name } of INSTANCES) {
  const service = compose.services[name];
  const secrets = Object.fromEntries(
    Object.keys(service.environment).flatMap((name) => {
      const secret = SECRET_VARIABLES.find((each) => fileVariableOf(each) === name);
      return secret === undefined ? [] : [[secret, secretOf(secret)] as const];
    }),
  );
  const config = loadConfig({ ...image.env, ...service.environment, ...secrets });

  t.test(`${file}, ${name}: the engine waits longer for the exit than the service takes`, (t) => {
    t.ok((parseDuration(service.stop_grace_period) ?? 0) > config.shutdownTimeoutMs);
    t.end();
  });

  t.test(`${file}, ${name}: memory, processes and files are limited, above what is needed`, (t) => {
    const { limits } = service.deploy.resources;
    const memoryBytes = parseBytes(limits.memory.toUpperCase().replace(/([KMG])$/, '$1B')) ?? 0;
    t.ok(memoryBytes >= config.storeBytesMax + 512 * 1024 ** 2, limits.memory);
    t.ok(Number(limits.cpus ?? 1) >= 1);
    t.ok(limits.pids >= 64 + config.workers);
    t.ok(service.ulimits.nofile.soft > config.httpConnectionsMax);
    t.ok(service.ulimits.nofile.hard >= service.ulimits.nofile.soft);
    t.end();
  });

  t.test(
    `${file}, ${name}: it is restarted unless it was stopped, and its health is checked`,
    (t) => {
      t.equal(service.restart, 'unless-stopped');
      t.equal(service.init, true);
      t.ok(only(image, 'HEALTHCHECK'), "the image's check is in force");
      t.equal(service.healthcheck?.test, undefined);
      t.equal(service.healthcheck?.disable, undefined);
      t.end();
    },
  );

  t.test(`${file}, ${name}: nothing can be written but the data volume and /tmp`, (t) => {
    t.equal(service.read_only, true);
    t.same(service.cap_drop, ['ALL']);
    t.same(service.security_opt, ['no-new-privileges:true']);
    t.match(service.tmpfs, [/^\/tmp:/]);
    const [volume, path] = service.volumes[0].split(':');
    t.equal(service.volumes.length, 1);
    t.ok(Object.hasOwn(compose.volumes, volume), 'a named volume, which outlives the container');
    t.equal(path, only(image, 'VOLUME')?.rest);
    t.end();
  });
}

t.test('to try it: on loopback by default, on the port on which the image listens', (t) => {
  const service = readCompose(TRIAL).services['product-service'];
  t.equal(service.build, '.');
  t.same(service.ports, [`\${HOST:-127.0.0.1}:\${PORT:-8080}:${image.env.PORT}`]);
  t.same(Object.keys(service.environment).sort(), ['DATA_DIR', 'HOST', 'PORT']);
  t.match(image.env, service.environment, 'an .env can not move it away from there');
  t.doesNotThrow(() => loadConfig(image.env), 'it starts without an .env');
  const secured = loadConfig({ ...image.env, JWT_SECRET: SECRET });
  t.ok(isAuthenticated(secured), 'a secret in .env is enough to ask everybody for a token');
  t.end();
});

t.test(
  'in production: both listeners on loopback, a token from everybody, its secret in a file',
  (t) => {
    const { services, secrets = {} } = readCompose(PRODUCTION);
    const service = services['product-service'];
    const { environment } = service;
    const known = CONFIG_KEYS.map((key) => variableOf(key).env);
    const names = [...known, ...SECRET_VARIABLES.map(fileVariableOf)];
    t.strictSame(
      Object.keys(environment).filter((name) => !names.includes(name)),
      [],
    );
    const { PORT, ADMIN_PORT, JWT_SECRET_FILE } = environment;
    t.same(
      service.ports,
      [PORT, ADMIN_PORT].map((port) => `127.0.0.1:${port}:${port}`),
    );
    t.same(service.secrets, Object.keys(secrets), 'each is there');
    t.equal(JWT_SECRET_FILE, `/run/secrets/${service.secrets?.[0]}`);
    // The file as the container has it.
    const file = join(tempDir(t), 'jwt_secret');
    writeFileSync(file, `${SECRET}\n`);
    const config = loadConfig(
      withSecretFiles({ ...image.env, ...environment, JWT_SECRET_FILE: file }),
    );
    t.ok(isAuthenticated(config));
    t.ok(config.drainDelayMs > 0, 'the proxy has time to turn away');
    t.equal(service.build, undefined);
    t.match(service.image, /:\d+\.\d+\.\d+$/, 'a fixed version');
    t.end();
  },
);
