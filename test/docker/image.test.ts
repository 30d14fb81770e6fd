/**
 * The image's commands do what they must: build, start without rights, get healthy, stop on
 * SIGTERM. No engine is needed; see `image-emulation.ts` for what stands for it. Needs npm's registry.
 */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { freePort } from '../helpers/servers/free-port.ts';
import { buildImage, type EmulatedImage, isRoot, runInImage } from './image-emulation.ts';

const READY_MS_MAX = 120_000;

/** Tries to write where only the data volume may be written; exits 0 if it was refused. */
const WRITES_BESIDE_ITSELF = [
  'node',
  '-e',
  "try { require('node:fs').writeFileSync('src/x', '') } catch (e) { process.exit(e.code === 'EACCES' ? 0 : 2) } process.exit(1)",
];

t.test('the image builds, starts without rights, gets healthy and stops on SIGTERM', async (t) => {
  // Outside the repository, so that a package that is missing isn't found in the folders above.
  const target = mkdtempSync(join(tmpdir(), 'product-service-image-'));
  t.teardown(() => rmSync(target, { recursive: true, force: true }));
  chmodSync(target, 0o755);

  const image = buildImage(fileURLToPath(new URL('../../', import.meta.url)), target);
  t.ok(existsSync(join(image.workDir, 'node_modules/fastify')), 'with its dependencies');
  for (const left of ['node_modules/tap', 'node_modules/typescript', 'test', '.env', '.git']) {
    t.notOk(existsSync(join(image.workDir, left)), `without ${left}`);
  }

  const unused = { PORT: `${await freePort()}` };
  t.equal(await exitCodeOf(runInImage(image, image.healthCheck, unused)), 1, 'not healthy before');
  const compiled = compiledModules(image);
  t.ok(compiled.length > 100, `${compiled.length} modules are compiled in the image`);

  const told = { PORT: '0', NODE_DEBUG_NATIVE: 'COMPILE_CACHE' };
  const service = runInImage(image, image.command, told);
  t.teardown(() => service.kill('SIGKILL'));
  const output = collectOutput(service);
  const port = await becomesReady(service, output);
  if (isRoot()) {
    t.equal(statSync(`/proc/${service.pid}`).uid, 1000, 'without rights');
    t.equal(
      await exitCodeOf(runInImage(image, WRITES_BESIDE_ITSELF, {})),
      0,
      'read-only but for the data',
    );
  }
  const env = { PORT: port };
  t.equal(await exitCodeOf(runInImage(image, image.healthCheck, env)), 0, 'healthy');

  service.kill('SIGTERM');
  const exitCode = await exitCodeOf(service);
  t.equal(exitCode, 0, 'SIGTERM ends it in order', { output: output.join('') });
  t.match(output.join(''), /src\/http\/app\.ts\.\.\. ?success/, 'compiled code was taken');
  t.strictSame(compiledModules(image), compiled, 'the first start had nothing left to compile');
});

/** What is in the compile cache of the image, a file each. */
function compiledModules({ env }: EmulatedImage): string[] {
  const { NODE_COMPILE_CACHE = '' } = env;
  return readdirSync(NODE_COMPILE_CACHE, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
}

/** The port that it says it listens on, once /readyz answers 200 there; rejects if it ends first. */
function becomesReady(service: ChildProcess, output: readonly string[]): Promise<string> {
  const ask = async () => {
    const text = output.join('');
    if (service.exitCode !== null) throw new Error(`ended with ${service.exitCode}: ${text}`);
    const port = /http:\/\/[\d.]+:(\d+)/.exec(text)?.[1];
    if (port === undefined) return undefined;
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => undefined);
    return answer?.status === 200 ? port : undefined;
  };
  return polled(ask, READY_MS_MAX, 'GET /readyz to answer 200');
}

function collectOutput(child: ChildProcess): readonly string[] {
  const chunks: string[] = [];
  child.stdout?.on('data', (chunk) => chunks.push(String(chunk)));
  child.stderr?.on('data', (chunk) => chunks.push(String(chunk)));
  return chunks;
}

/** The exit code, or the signal that ended it. */
async function exitCodeOf(child: ChildProcess): Promise<number | string | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode ?? child.signalCode;
}
