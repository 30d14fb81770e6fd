/** What can be said of the Dockerfile from its text: it lints clean and keeps our rules. */
import { existsSync, readFileSync } from 'node:fs';
import { validate } from 'dockerfile-utils';
import t from 'tap';
import { START_ENV } from '../../bench/support/start-env.ts';
import { CONFIG_KEYS, variableOf } from '../../src/config/schema.ts';
import { parseDockerIgnore } from './docker-ignore.ts';
import { execForm, only, parseDockerfile } from './dockerfile.ts';

const repository = new URL('../../', import.meta.url);
const content = readFileSync(new URL('Dockerfile', repository), 'utf8');
const stages = parseDockerfile(content);
const image = stages[stages.length - 1];

t.test('the linter finds nothing', (t) => {
  t.same(validate(content), []);
  t.not(validate('FROM node:24-slim\nEXPOSE eighty\n').length, 0, 'and it would find something');
  t.end();
});

t.test('there is a stage apart for the dependencies, both on node:24-slim', (t) => {
  t.ok(stages.length >= 2);
  t.same([...new Set(stages.map((stage) => stage.base))], ['node:24-slim']);
  t.end();
});

t.test('npm runs in an early stage only, as locked and without development tools', (t) => {
  const npmRuns = stages.map((stage) =>
    stage.instructions.filter((each) => /\bnpm\b/.test(each.rest)),
  );
  t.same(npmRuns.pop(), []);
  t.match(npmRuns.flat(), [{ name: 'RUN', rest: /^npm ci --omit=dev / }]);
  t.end();
});

t.test('the image runs as a user without rights, who owns the data volume', (t) => {
  t.equal(only(image, 'USER')?.rest, 'node');
  t.equal(only(image, 'VOLUME')?.rest, image.env.DATA_DIR);
  const made = /^install -d -o 1000 -g 1000 "\$DATA_DIR" "\$NODE_COMPILE_CACHE"$/;
  t.match(image.instructions.find(({ name }) => name === 'RUN')?.rest, made);
  t.end();
});

t.test('it listens on all addresses, on the port that it exposes', (t) => {
  const env = image.env;
  t.equal(env.HOST, '0.0.0.0');
  t.equal(env.ALLOW_ANONYMOUS, 'true', 'without it or a key, it would not start there');
  t.equal(only(image, 'EXPOSE')?.rest, env.PORT);
  const known = CONFIG_KEYS.map((key) => variableOf(key).env);
  t.same(
    Object.keys(env).filter((name) => !known.includes(name)),
    ['NODE_ENV', 'GLIBC_TUNABLES', 'NODE_COMPILE_CACHE'],
  );
  t.end();
});

t.test('it asks for huge pages, as npm start and the benches do', (t) => {
  const { GLIBC_TUNABLES } = image.env;
  t.equal(GLIBC_TUNABLES, START_ENV.GLIBC_TUNABLES);
  const { scripts } = JSON.parse(readFileSync(new URL('package.json', repository), 'utf8'));
  t.match(scripts.start, ` GLIBC_TUNABLES=\${GLIBC_TUNABLES:-${GLIBC_TUNABLES}} `);
  t.end();
});

t.test('SIGTERM reaches Node, not a shell', (t) => {
  t.equal(only(image, 'STOPSIGNAL')?.rest, 'SIGTERM');
  const command = execForm(only(image, 'CMD')?.rest ?? '');
  t.same(command, ['node', '--disable-sigusr1', 'src/main.ts']);
  t.equal(only(image, 'ENTRYPOINT'), undefined);
  t.end();
});

t.test(
  'a first start fills the compile cache, as the user and by the command of later ones',
  (t) => {
    const names = image.instructions.map(({ name }) => name);
    const [warm] = image.instructions.slice(names.indexOf('USER') + 1);
    const command = execForm(only(image, 'CMD')?.rest ?? '') ?? [];
    t.equal(warm?.name, 'RUN');
    t.ok(warm?.rest.includes(` ${command.join(' ')} > `), warm?.rest);
    t.ok(names.lastIndexOf('COPY') < names.indexOf('USER'), 'of all that is in the image');
    t.end();
  },
);

t.test('nothing but the named files is sent to the build', (t) => {
  const ignores = parseDockerIgnore(readFileSync(new URL('.dockerignore', repository), 'utf8'));
  const left = [
    '.env',
    '.git',
    'data/x.log',
    'node_modules/fastify/package.json',
    'test/a.ts',
    'x',
  ];
  t.same(
    left.filter((path) => !ignores(path)),
    [],
  );
  t.same(['package.json', 'package-lock.json', 'LICENSE', 'src/a/b.ts'].filter(ignores), []);
  for (const stage of stages) {
    for (const { name, flags, rest } of stage.instructions) {
      if (name !== 'COPY' || flags.has('from')) continue;
      for (const source of rest.split(/\s+/).slice(0, -1)) {
        t.ok(
          existsSync(new URL(source, repository)) && !ignores(source),
          `${source} can be copied`,
        );
      }
    }
  }
  t.end();
});
