/** The commands as processes: help, usage, exit codes, where the folder comes from, npm scripts. */
import { readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { COMMANDS } from '../../src/maintenance/commands.ts';
import { BuiltData } from '../helpers/disks/built-data.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { Random } from '../helpers/models/random.ts';
import { type ProcessOptions, ServiceProcess } from '../helpers/processes/service-process.ts';

const REPOSITORY = fileURLToPath(new URL('../../', import.meta.url));

async function run(t: Test, options: ProcessOptions) {
  const tool = ServiceProcess.spawn(t, options);
  const { code } = await tool.exit();
  return { code, stdout: tool.stdout, stderr: tool.stderr };
}

/** Data in `cwd` under `name`. */
function build(cwd: string, name: string): BuiltData {
  return new BuiltData(join(cwd, name), new Random(1)).segment(5).segment(5).seal();
}

t.test('--help lists every command', async (t) => {
  const { code, stdout } = await run(t, { cwd: tempDir(t), args: ['--help'] });
  t.equal(code, 0);
  for (const { name } of COMMANDS) t.match(stdout, `\n  ${name} [DATA_DIR] [OPTION…]\n      `);
  t.end();
});

t.test('the argument wins over the environment, which wins over the default', async (t) => {
  const cwd = tempDir(t);
  for (const name of ['data', 'other', 'third']) build(cwd, name);
  const env = { DATA_DIR: './other' };
  t.match((await run(t, { cwd, args: ['verify'] })).stdout, `${join(cwd, 'data')}\n`);
  t.match((await run(t, { cwd, env, args: ['verify'] })).stdout, `${join(cwd, 'other')}\n`);
  const third = await run(t, { cwd, env, args: ['verify', 'third'] });
  t.match(third, { code: 0, stderr: '' });
  t.match(third.stdout, `${join(cwd, 'third')}\n`);
});

t.test('wrong usage is one line and exit code 2', async (t) => {
  const cwd = tempDir(t);
  build(cwd, 'data');
  for (const args of [
    ['verfy'],
    ['verify', 'nowhere'],
    ['verify', 'data', 'data'],
    ['verify', '--to', 'x'],
    ['repair', '--json'],
    ['backup'],
    ['backup', '--to', 'data'],
    ['--json'],
    ['verify', '--force'],
  ]) {
    const { code, stdout, stderr } = await run(t, { cwd, args });
    t.equal(code, 2, args.join(' '));
    t.equal(stdout, '');
    t.match(stderr, /^product-service: [^\n]+; see --help\n$/);
  }
});

t.test('damage ends verify with 1, repair with 3, backup with 1', async (t) => {
  const cwd = tempDir(t);
  const data = build(cwd, 'data');
  truncateSync(data.segments[0], 300);
  const verify = await run(t, { cwd, args: ['verify'] });
  t.match(verify, { code: 1, stderr: '' });
  t.match(verify.stdout, /^result {7}DAMAGED: a start would be refused: /m);
  const backup = await run(t, { cwd, args: ['backup', '--to', 'copy'] });
  t.match(backup, { code: 1, stdout: '' });
  t.match(backup.stderr, /^product-service: the copy is not whole, so there is none: .*\n$/);
  const repair = await run(t, { cwd, args: ['repair', '--to', 'repaired'] });
  t.match(repair, { code: 3, stderr: '' });
  t.match(repair.stdout, 'repaired, WITH LOSSES');
});

for (const source of ['log', 'checkpoint'] as const) {
  t.test(`products of the ${source} that do not fit are told, and there is no copy`, async (t) => {
    const cwd = tempDir(t);
    const data = new BuiltData(join(cwd, 'data'), new Random(1), 1000).segment(50);
    if (source === 'checkpoint') data.checkpoint();
    data.seal();
    const env = { MAX_MEMORY_USAGE: '4KB', SHARDS: '1', WORKERS: '1' };
    const { code, stderr } = await run(t, { cwd, env, args: ['repair', '--to', 'repaired'] });
    t.equal(code, 1);
    t.equal(
      stderr,
      'product-service: the products do not fit: raise MAX_MEMORY_USAGE and repair again\n',
    );
    t.strictSame(readdirSync(cwd), ['data']);
  });
}

t.test('package.json names the program and a script for each command', (t) => {
  const { bin, scripts } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8'));
  t.strictSame(bin, { 'product-service': 'bin/product-service.js' });
  const main = join(REPOSITORY, 'src/main.ts');
  t.ok(readFileSync(main, 'utf8').startsWith('#!/usr/bin/env -S node --disable-sigusr1\n'));
  t.ok(statSync(main).mode & 0o100, 'executable');
  for (const { name } of COMMANDS) t.equal(scripts[name], `node src/main.ts ${name}`);
  t.end();
});
