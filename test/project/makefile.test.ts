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

/** Runs make without what a `make test` around this test says to its own children. */
function make(folder: string, ...args: readonly string[]): string {
  const { MAKEFLAGS: _, MAKELEVEL: __, MFLAGS: ___, ...env } = process.env;
  return execFileSync('make', args, { cwd: folder, env, encoding: 'utf8' });
}

/** The targets that help lists, by make itself. */
function listedTargets(): string[] {
  const lines = make(repository, 'help').trimEnd().split('\n');
  return lines.map((line) => /^ {2}([a-z-]+) +[A-Z].{10,}$/.exec(line)?.[1] ?? line);
}

t.test('every target can be made, by a dry run, and calls only npm scripts that exist', (t) => {
  const { scripts } = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8'));
  for (const target of listedTargets()) {
    const commands = make(repository, '-n', target);
    for (const [, name = ''] of commands.matchAll(/^npm (?:run )?(?!ci$)(\S+)$/gm)) {
      t.type(scripts[name], 'string', `${target}: npm script ${name}`);
    }
  }
  t.throws(() => make(repository, '-n', 'no-such-target'));
  t.end();
});

t.test('help is what plain make prints, and says a sentence for every target', (t) => {
  t.equal(make(repository), make(repository, 'help'));
  const phony = /^\.PHONY: (.*)$/m.exec(make(repository, '-np', 'help'))?.[1] ?? '';
  t.strictSame(listedTargets().sort(), phony.split(' ').sort());
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
