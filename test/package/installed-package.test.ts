/**
 * What `npm pack` makes, as a user has it: installed from the tarball in an empty folder, far from the
 * sources; it serves, takes events, imports a file and gives it all back through all its threads. Needs npm and its registry.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { polled } from '../helpers/bounded.ts';
import { ApiClient } from '../helpers/clients/api-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));
const READY_MS_MAX = 120_000;
const EXIT_MS_MAX = 60_000;
/** The project's own Node first, as npm finds it in a checkout. */
const PATH = `${dirname(process.execPath)}:${process.env.PATH}`;

/** This process's environment without what npm and tap say to their own children. */
function environment(extra: Readonly<Record<string, string>> = {}): Record<string, string> {
  const ofTheRun =
    /^(?:npm_(?:lifecycle|package|config_local_prefix)|NODE_OPTIONS$|TAP|_TAPJS|INIT_CWD$)/;
  const kept = Object.entries(process.env).flatMap(([name, value]) =>
    value === undefined || ofTheRun.test(name) ? [] : [[name, value] as const],
  );
  return { ...Object.fromEntries(kept), PATH, ...extra };
}

function npm(cwd: string, ...args: readonly string[]): string {
  return execFileSync('npm', args, { cwd, env: environment(), encoding: 'utf8', stdio: 'pipe' });
}

t.test('the packed package, installed in an empty folder', async (t) => {
  const folder = tempDir(t);
  const tarball = npm(REPOSITORY, 'pack', '--silent', '--pack-destination', folder).trim();
  t.notOk(existsSync(join(REPOSITORY, 'dist')), 'packing leaves nothing behind');
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  npm(folder, 'install', '--no-audit', '--no-fund', '--prefer-offline', join(folder, tarball));
  const program = join(folder, 'node_modules/.bin/product-service');

  await t.test('has JavaScript and no tests', async (t) => {
    const files = execFileSync('tar', ['tzf', join(folder, tarball)], { encoding: 'utf8' })
      .trimEnd()
      .split('\n');
    t.ok(files.includes('package/dist/workers/applier.js'));
    t.ok(files.includes('package/LICENSE'));
    t.strictSame(
      files.filter((name) => name.endsWith('.ts') || /^package\/(?:test|bench|\.)/.test(name)),
      [],
    );
  });

  await t.test('--version and --help', async (t) => {
    const { version } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
    const run = (argument: string) =>
      execFileSync(program, [argument], { cwd: folder, env: environment(), encoding: 'utf8' });
    t.match(run('--version'), `product-service ${version} (Node ${process.version}; `);
    t.match(run('--help'), /^Usage: product-service /);
  });

  await t.test('serves, takes events, imports a file and gives them back', async (t) => {
    const env = environment({
      PORT: '0',
      ACK: 'applied',
      MAX_MEMORY_USAGE: '16MB',
      WORKERS: '2',
      SHARDS: '8',
    });
    const service = spawn(program, { cwd: folder, env, stdio: ['ignore', 'pipe', 'inherit'] });
    t.teardown(() => service.kill('SIGKILL'));
    let stdout = '';
    service.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const port = await polled(
      () => {
        if (service.exitCode !== null) throw new Error(`ended: ${stdout}`);
        return /"msg":"ready on http:\/\/[^"]*:(\d+)"/.exec(stdout)?.[1];
      },
      READY_MS_MAX,
      'the service to be ready',
    );
    const client = new ApiClient(Number(port));
    const { status } = await client.post({ product_id: 'a', price: 1.5, stock: 2 });
    t.equal(status, 200);
    client.close();
    const read = await fetch(`http://127.0.0.1:${port}/api/v1/products/a`);
    t.strictSame(await read.json(), { id: 'a', price: 1.5, stock: 2 });
    const feed = 'sku,price,stock\nx1,9.99,3\nx2,12,0\nx3,oops,1\n';
    writeFileSync(join(folder, 'prices.csv'), feed);
    const url = `http://127.0.0.1:${port}`;
    const imported = spawnSync(program, ['import', 'prices.csv', '--url', url], {
      cwd: folder,
      env: environment({ XDG_STATE_HOME: join(folder, 'state') }),
      encoding: 'utf8',
    });
    t.equal(imported.status, 3, imported.stderr);
    t.match(imported.stdout, /^prices\.csv: 2 taken, 1 refused \(prices\.refused\.csv\); /);
    t.match(readFileSync(join(folder, 'prices.refused.csv'), 'utf8'), /^4,.*,x3,oops,1$/m);
    const product = await fetch(`${url}/api/v1/products/x1`);
    t.strictSame(await product.json(), { id: 'x1', price: 9.99, stock: 3 }, 'imported');
    const api = await fetch(`http://127.0.0.1:${port}/openapi.json`);
    t.match(await api.json(), { info: { license: { name: 'MIT' } } }, 'with its own description');
    const page = await fetch(`http://127.0.0.1:${port}/`);
    t.equal(page.status, 200, 'the status page');
    t.match(await page.text(), '<html');
    service.kill('SIGTERM');
    t.equal(await polled(() => service.exitCode ?? undefined, EXIT_MS_MAX, 'its end'), 0);
    const verified = spawnSync(program, ['verify'], { cwd: folder, env, encoding: 'utf8' });
    t.equal(verified.status, 0, verified.stderr);
  });
});

t.test('an older Node is told which one is needed', async (t) => {
  const folder = tempDir(t);
  // The version is what a Node before says; everything else is this one.
  const older = join(folder, 'older.cjs');
  writeFileSync(
    older,
    "Object.defineProperty(process, 'version', { value: 'v22.9.0' });" +
      "Object.defineProperty(process.versions, 'node', { value: '22.9.0' });",
  );
  const bin = join(REPOSITORY, 'bin/product-service.js');
  const run = spawnSync(process.execPath, ['--require', older, bin, '--version'], {
    env: environment(),
    encoding: 'utf8',
  });
  t.equal(run.status, 2);
  t.equal(run.stdout, '');
  t.match(
    run.stderr,
    /^product-service: needs Node \d+\.\d+\.\d+ or newer, this is v22\.9\.0; [^\n]+\n$/,
  );
});
