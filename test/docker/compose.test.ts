/** What can be said of docker-compose.yml from its text: limits, restart, grace, isolation. */
import { readFileSync } from 'node:fs';
import t from 'tap';
import { parse } from 'yaml';
import { isAuthenticated } from '../../src/config/access.ts';
import { loadConfig } from '../../src/config/load.ts';
import { parseBytes, parseDuration } from '../../src/config/quantity.ts';
import { only, parseDockerfile } from './dockerfile.ts';

/** The parts of the file that the tests read. */
interface Compose {
  readonly services: {
    readonly 'product-service': {
      readonly build: string;
      readonly init: boolean;
      readonly restart: string;
      readonly stop_grace_period: string;
      readonly ports: readonly string[];
      readonly environment: Readonly<Record<string, unknown>>;
      readonly volumes: readonly string[];
      readonly read_only: boolean;
      readonly tmpfs: readonly string[];
      readonly cap_drop: readonly string[];
      readonly healthcheck?: { readonly disable?: boolean };
      readonly deploy: {
        readonly resources: {
          readonly limits: {
            readonly cpus: string;
            readonly memory: string;
            readonly pids: number;
          };
        };
      };
      readonly ulimits: { readonly nofile: { readonly soft: number; readonly hard: number } };
    };
  };
  readonly volumes: Readonly<Record<string, unknown>>;
}

const repository = new URL('../../', import.meta.url);
const text = readFileSync(new URL('docker-compose.yml', repository), 'utf8');
const compose: Compose = parse(text, { strict: true, uniqueKeys: true });
const service = compose.services['product-service'];
const stages = parseDockerfile(readFileSync(new URL('Dockerfile', repository), 'utf8'));
const image = stages[stages.length - 1];
const config = loadConfig({});

t.test('the engine waits longer for the exit than the service takes', (t) => {
  t.ok((parseDuration(service.stop_grace_period) ?? 0) > config.shutdownTimeoutMs);
  t.end();
});

t.test('memory, processors, processes and files are limited, above what the defaults need', (t) => {
  const { limits } = service.deploy.resources;
  const memoryBytes = parseBytes(limits.memory.toUpperCase().replace(/([KMG])$/, '$1B')) ?? 0;
  t.ok(memoryBytes >= config.storeBytesMax + 512 * 1024 ** 2, limits.memory);
  t.ok(Number(limits.cpus) >= 1, limits.cpus);
  t.ok(limits.pids >= 64 + config.workers);
  t.ok(service.ulimits.nofile.soft > config.httpConnectionsMax);
  t.ok(service.ulimits.nofile.hard >= service.ulimits.nofile.soft);
  t.end();
});

t.test('it is restarted unless it was stopped, and its health is checked', (t) => {
  t.equal(service.restart, 'unless-stopped');
  t.ok(only(image, 'HEALTHCHECK'), "the image's check is in force");
  t.equal(service.healthcheck, undefined);
  t.equal(service.build, '.');
  t.end();
});

t.test('it is published on loopback by default, on the port on which the image listens', (t) => {
  t.same(service.ports, [`\${HOST:-127.0.0.1}:\${PORT:-8080}:${image.env.PORT}`]);
  t.same(Object.keys(service.environment).sort(), ['DATA_DIR', 'HOST', 'PORT']);
  t.match(image.env, service.environment, 'an .env can not move it away from there');
  t.doesNotThrow(() => loadConfig(image.env), 'it starts without an .env');
  const secured = loadConfig({ ...image.env, JWT_SECRET: 's'.repeat(32) });
  t.ok(isAuthenticated(secured), 'a secret in .env is enough to ask everybody for a token');
  t.end();
});

t.test('nothing can be written but the data volume and /tmp', (t) => {
  t.equal(service.read_only, true);
  t.same(service.cap_drop, ['ALL']);
  t.match(service.tmpfs, [/^\/tmp:/]);
  const [volume, path] = service.volumes[0].split(':');
  t.equal(service.volumes.length, 1);
  t.ok(Object.hasOwn(compose.volumes, volume), 'a named volume, which outlives the container');
  t.equal(path, only(image, 'VOLUME')?.rest);
  t.end();
});
