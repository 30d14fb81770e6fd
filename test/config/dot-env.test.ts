/** The file `.env`: absent, read, overridden by the environment, and guarded against mistypes. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { readDotEnv } from '../../src/config/dot-env.ts';
import { loadConfig } from '../../src/config/load.ts';
import { dotEnvExample } from '../../src/config/reference.ts';
import { CONFIG_KEYS } from '../../src/config/schema.ts';

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

t.test('a byte order mark, as editors on Windows write one, is no part of the first name', (t) => {
  t.strictSame(readDotEnv(dotEnv(t, '\ufeffPORT=9000\r\nWORKERS=2\r\n')), {
    PORT: '9000',
    WORKERS: '2',
  });
  t.end();
});

t.test('what all readers of such files agree on is read', (t) => {
  const values = {
    './d2': './d2',
    "'./d 2'  # here": './d 2',
    '"./d 2"': './d 2',
    './d 2 # here': './d 2',
    './d\t#here': './d',
    "'./d#1'": './d#1',
    "'$HOME'": '$HOME',
    "'C:\\d'": 'C:\\d',
    a$: 'a$',
    "it's": "it's",
    '# nothing': '',
    "''": '',
  };
  for (const [text, DATA_DIR] of Object.entries(values)) {
    t.strictSame(readDotEnv(dotEnv(t, `DATA_DIR=${text}\n`)), { DATA_DIR }, text);
  }
  t.end();
});

t.test('what they read differently is an error', (t) => {
  const faults = {
    '"./d2': 'has no closing quote on its line',
    "'./d2": 'has no closing quote on its line',
    '"./d" 2': 'goes on behind its closing quote',
    '"./d"#2': 'needs a blank before the #',
    './d#1': 'has a # without a blank before it; put it in single quotes',
    $HOME: 'has a $, which is not replaced here; write it out, or use single quotes',
    '"$(pwd)/d"': 'has a $, which is not replaced here; write it out, or use single quotes',
    '"C:\\d"': 'has a backslash in double quotes; use single quotes',
    '`./d`': 'stands in backticks; use single quotes',
  };
  for (const [text, fault] of Object.entries(faults)) {
    const path = dotEnv(t, `WORKERS=2\nDATA_DIR=${text}\n`);
    const message = `${path}:2 sets DATA_DIR, but the value ${fault}`;
    t.throws(() => readDotEnv(path), { name: 'ConfigError', message }, text);
  }
  t.throws(() => loadConfig(readDotEnv(dotEnv(t, 'DATA_DIR=~/d3\n'))), {
    message: /^DATA_DIR="~\/d3" must be a path, written out/,
  });
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
  t.equal(Object.keys(values).length, CONFIG_KEYS.length);
  t.strictSame(loadConfig(values), loadConfig({}));
  t.strictSame(readDotEnv(dotEnv(t, dotEnvExample())), {}, 'as it is, it sets nothing');
  t.end();
});
