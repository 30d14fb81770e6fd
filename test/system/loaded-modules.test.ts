/**
 * What a start loads: nothing that serving doesn't need, and the documentation when it is asked for; and what
 * a command that talks to a service loads: nothing of the service.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine } from '../helpers/processes/command-line.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';

const HOOK = new URL('./list-loaded.ts', import.meta.url);

/** All of these were once loaded at each start, and made it half as long again. */
const LATER = [
  'undici', // Node's own; `import` of node:http brings it in
  'node_modules/@fastify/swagger/',
  'node_modules/@fastify/swagger-ui/',
  'node_modules/@fastify/static/',
  'node_modules/yaml/',
] as const;
const NEVER = [
  'node_modules/@opentelemetry/', // only where an endpoint is set
  'src/tracing/open-telemetry.ts',
  'node_modules/jose/', // without authentication
  'node_modules/@fastify/ajv-compiler/',
  'node_modules/@fastify/fast-json-stringify-compiler/',
  'src/maintenance/',
] as const;

/** They take longer to load than to do what was asked. */
const NOT_OF_A_COMMAND = [
  'node_modules/@sinclair/typebox/',
  'node_modules/ajv/',
  'src/config/schema.ts',
  'src/process/run-service.ts',
] as const;

t.test('a start', async (t) => {
  const loaded = await loadedBy(t, []);
  t.ok(loaded.includes('src/http/app.ts'), 'the list is one');
  for (const part of [...LATER, ...NEVER]) t.notOk(loaded.includes(part), part);
});

t.test('a start, and somebody who reads the documentation', async (t) => {
  const loaded = await loadedBy(t, ['/docs', '/docs/static/index.css', '/docs/json']);
  for (const part of LATER.slice(1)) t.ok(loaded.includes(part), part);
  for (const part of NEVER) t.notOk(loaded.includes(part), part);
});

t.test('commands that talk to a service', async (t) => {
  const cwd = tempDir(t);
  writeFileSync(join(cwd, 'feed.csv'), 'sku,price,stock\nA,1,2\n');
  const port = 1; // where nobody listens
  for (const args of [
    ['get', 'p'],
    ['import', 'feed.csv', '--retry-for', '0s'],
  ]) {
    const LOADED = join(cwd, `loaded-${args[0]}`);
    const env = { LOADED, NODE_OPTIONS: `--import=${HOOK}`, HOME: cwd };
    t.equal((await runCommandLine(t, args, { cwd, port, env })).code, 1);
    const loaded = readFileSync(LOADED, 'utf8');
    t.ok(loaded.includes('src/cli/service-client.ts'), 'the list is one');
    for (const part of NOT_OF_A_COMMAND) t.notOk(loaded.includes(part), `${args[0]}: ${part}`);
  }
});

/** Starts the service, asks for `paths`, stops it; returns what it had loaded by then. */
async function loadedBy(t: Test, paths: readonly string[]): Promise<string> {
  const cwd = tempDir(t);
  const LOADED = join(cwd, 'loaded');
  const env = { LOADED, NODE_OPTIONS: `--import=${HOOK}`, MAX_MEMORY_USAGE: '16MB', WORKERS: '1' };
  const service = ServiceProcess.spawn(t, { cwd, env });
  const port = await service.ready();
  for (const path of paths) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`);
    t.equal(answer.status, 200, path);
    await answer.arrayBuffer();
  }
  t.strictSame(await service.stop(), { code: 0, signal: null });
  return readFileSync(LOADED, 'utf8');
}
