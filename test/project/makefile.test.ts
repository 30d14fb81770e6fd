/** The Makefile's targets are there, say what they do, and call scripts that exist. */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const repository = fileURLToPath(new URL('../../', import.meta.url));

/** What each target runs, apart from installing what is missing. */
const COMMANDS: Readonly<Record<string, string>> = {
  help: 'awk',
  deps: '',
  build: 'npm run typecheck',
  run: 'npm start',
  dev: 'npm run dev',
  test: 'npm test',
  'test-race': 'npm run test:race',
  'test-durability': 'npm run test:durability',
  'test-kill': 'npm run test:kill',
  'test-coverage': 'npm run test:coverage',
  benchmark: 'npm run bench',
  fmt: 'npm run fmt',
  lint: 'npm run lint',
  clean: 'npm run clean',
  'load-test': 'npm run load-test',
  'perf-test': 'npm run perf-test',
  'install-tools': 'npm run tap:build',
  'docker-build': 'docker build --tag product-service .',
  'docker-run': 'docker run --rm --init --stop-timeout 30 --publish 127.0.0.1:8080:8080 ',
  'docker-up': 'docker compose up --build --detach --wait',
  'docker-down': 'docker compose down',
  'docker-logs': 'docker compose logs --follow',
};

/** Runs make without what a `make test` around this test says to its own children. */
function make(folder: string, ...args: readonly string[]): string {
  const { MAKEFLAGS: _, MAKELEVEL: __, MFLAGS: ___, ...env } = process.env;
  return execFileSync('make', args, { cwd: folder, env, encoding: 'utf8' });
}

t.test('every target runs what it should, by a dry run', (t) => {
  for (const [target, command] of Object.entries(COMMANDS)) {
    const last = make(repository, '-n', target).trimEnd().split('\n').at(-1) ?? '';
    t.ok(command === '' || last.startsWith(command), `${target}: ${last}`);
  }
  t.throws(() => make(repository, '-n', 'no-such-target'));
  t.end();
});

t.test('help is what plain make prints, and says a sentence for every target', (t) => {
  const help = make(repository);
  t.equal(help, make(repository, 'help'));
  const lines = help.trimEnd().split('\n');
  t.same(
    lines.map((line) => /^ {2}([a-z-]+) +[A-Z].{10,}$/.exec(line)?.[1]),
    Object.keys(COMMANDS),
  );
  t.end();
});

t.test('every npm script that is called exists', (t) => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  for (const command of Object.values(COMMANDS)) {
    const name = /^npm (?:run )?(.*)$/.exec(command)?.[1];
    if (name !== undefined) t.type(scripts[name], 'string', name);
  }
  t.end();
});

t.test('what is missing is installed first, and only then', (t) => {
  const folder = t.testdir({ 'package-lock.json': '{}' });
  copyFileSync(join(repository, 'Makefile'), join(folder, 'Makefile'));
  const dryRun = () => make(folder, '-n', 'run').trimEnd().split('\n');

  t.match(dryRun(), ['npm ci', /^touch /, 'npm start'], 'nothing is installed');

  const installed = join(folder, 'node_modules/.package-lock.json');
  mkdirSync(join(folder, 'node_modules'));
  writeFileSync(installed, '{}');
  utimesSync(installed, 2_000, 2_000);
  utimesSync(join(folder, 'package-lock.json'), 1_000, 1_000);
  t.same(dryRun(), ['npm start'], 'all is installed');

  utimesSync(join(folder, 'package-lock.json'), 3_000, 3_000);
  t.match(dryRun(), ['npm ci', /^touch /, 'npm start'], 'something else is locked by now');
  t.end();
});

t.test('clean removes what tests left, and never the data', (t) => {
  const folder = t.testdir({
    data: { '1.log': 'precious' },
    '.tap': { x: '' },
    coverage: { x: '' },
    'a.cpuprofile': '',
  });
  for (const name of ['Makefile', 'package.json'])
    copyFileSync(join(repository, name), join(folder, name));
  make(folder, 'clean');
  for (const name of ['.tap', 'coverage', 'a.cpuprofile'])
    t.notOk(existsSync(join(folder, name)), name);
  t.equal(readFileSync(join(folder, 'data/1.log'), 'utf8'), 'precious');
  t.end();
});
