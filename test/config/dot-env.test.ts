/** The file `.env`: absent, read, overridden by the environment, and guarded against mistypes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readDotEnv } from '../../src/config/dot-env.ts';
import { loadConfig } from '../../src/config/load.ts';
import { dotEnvExample } from '../../src/config/reference.ts';

function dotEnv(t: Test, content: string): string {
  const path = join(t.testdir(), '.env');
  writeFileSync(path, content);
  return path;
}

t.test('no file sets nothing', (t) => {
  t.strictSame(readDotEnv(join(t.testdir(), '.env')), {});
  t.end();
});

t.test('comments, blanks, quotes and export are understood', (t) => {
  const path = dotEnv(
    t,
    '# a comment\r\n\r\n  # PORT=1\r\nPORT=9000\r\nexport WORKERS = 2\nDATA_DIR="./a b" # here\n',
  );
  t.strictSame(readDotEnv(path), { PORT: '9000', WORKERS: '2', DATA_DIR: './a b' });
  t.end();
});

t.test('the real environment wins over the file', (t) => {
  const path = dotEnv(t, 'PORT=9000\nWORKERS=2\n');
  const config = loadConfig({ ...readDotEnv(path), ...{ PORT: '9001' } });
  t.match(config, { port: 9001, workers: 2, shards: 16 });
  t.end();
});

t.test('an empty value in the file is refused like an empty variable', (t) => {
  const path = dotEnv(t, 'PORT=\n');
  t.throws(() => loadConfig(readDotEnv(path)), { message: /^PORT="" must be / });
  t.end();
});

t.test('a mistyped name is an error that names the likely one', (t) => {
  const path = dotEnv(t, 'WORKERS=2\nQUEUESIZE=5\nhost=::1\nAWS_SECRET_ACCESS_KEY=s3cret\n');
  t.throws(() => readDotEnv(path), {
    name: 'ConfigError',
    message:
      `${path}:2 sets "QUEUESIZE", which is no variable; did you mean QUEUE_SIZE?; ` +
      `${path}:3 sets "host", which is no variable; did you mean HOST?; ` +
      `${path}:4 sets "AWS_SECRET_ACCESS_KEY", which is no variable; --help lists them`,
  });
  t.end();
});

t.test('a line that sets nothing and a name set twice are errors', (t) => {
  const path = dotEnv(t, 'PORT 9000\nWORKERS=2\nWORKERS=3\n=4\n');
  t.throws(() => readDotEnv(path), {
    message:
      `${path}:1 must be NAME=value, a comment or blank; ` +
      `${path}:3 sets WORKERS a second time; ` +
      `${path}:4 must be NAME=value, a comment or blank`,
  });
  t.end();
});

t.test('a file that can not be read is an error, not an absent file', (t) => {
  const path = t.testdir({ '.env': {} });
  t.throws(() => readDotEnv(join(path, '.env')), {
    name: 'ConfigError',
    message: `${join(path, '.env')} can't be read (EISDIR); make it readable or remove it`,
  });
  t.end();
});

t.test('the example, with every variable uncommented, is the default configuration', (t) => {
  const uncommented = dotEnvExample().replaceAll(/^#(?=[A-Z])/gm, '');
  const values = readDotEnv(dotEnv(t, uncommented));
  t.equal(Object.keys(values).length, Object.keys(loadConfig({})).length);
  t.strictSame(loadConfig(values), loadConfig({}));
  t.strictSame(readDotEnv(dotEnv(t, dotEnvExample())), {}, 'as it is, it sets nothing');
  t.end();
});
