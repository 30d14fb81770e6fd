/** Secrets that stand in files, and what is refused of them. */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { readDotEnv } from '../../src/config/dot-env.ts';
import { loadConfig } from '../../src/config/load.ts';
import { helpText } from '../../src/config/reference.ts';
import { SECRET_VARIABLES, withSecretFiles } from '../../src/config/secret-files.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { runCommandLine } from '../helpers/processes/command-line.ts';

const SECRET = 's'.repeat(32);

t.test('a secret is read from its file, but for a line end behind it', (t) => {
  const folder = tempDir(t);
  const write = (content: string) => {
    writeFileSync(join(folder, 'secret'), content);
    return join(folder, 'secret');
  };
  const ofNats = ['NATS_URL', 'NATS_PASSWORD', 'NATS_TOKEN', 'NATS_NKEY_SEED'];
  t.strictSame([...SECRET_VARIABLES], ['JWT_SECRET', ...ofNats, 'SINKS']);
  for (const end of ['', '\n', '\r\n']) {
    const env = withSecretFiles({ JWT_SECRET_FILE: write(SECRET + end), PORT: '1' });
    t.equal(loadConfig(env).jwtSecret, SECRET);
    t.equal(loadConfig(env).port, 1);
  }
  t.equal(withSecretFiles({ SINKS_FILE: write('redis://:a b@h\n\n') }).SINKS, 'redis://:a b@h\n');
  t.strictSame(withSecretFiles({ JWT_SECRET_FILE: '', SINKS: 'x' }), {
    JWT_SECRET_FILE: '',
    SINKS: 'x',
  });
  t.end();
});

t.test('what is wrong with it is named, and the secret is not', (t) => {
  const folder = tempDir(t);
  writeFileSync(join(folder, 'empty'), '\n');
  const missing = join(folder, 'missing');
  t.throws(() => withSecretFiles({ JWT_SECRET_FILE: join(folder, 'empty'), SINKS_FILE: missing }), {
    name: 'ConfigError',
    message: `JWT_SECRET_FILE="${join(folder, 'empty')}" is empty; SINKS_FILE="${missing}" can't be read (ENOENT)`,
  });
  t.throws(() => withSecretFiles({ JWT_SECRET_FILE: missing, JWT_SECRET: SECRET }), {
    message: 'JWT_SECRET_FILE and JWT_SECRET exclude each other: set one',
  });
  t.end();
});

t.test('.env and the help know the variables', (t) => {
  const path = join(tempDir(t), '.env');
  writeFileSync(path, 'JWT_SECRET_FILE=/run/secrets/jwt_secret\n');
  t.strictSame(readDotEnv(path), { JWT_SECRET_FILE: '/run/secrets/jwt_secret' });
  writeFileSync(path, 'PORT_FILE=/run/secrets/port\n');
  t.throws(() => readDotEnv(path), /"PORT_FILE", which is no variable/);
  t.match(helpText(), /JWT_SECRET_FILE/);
  t.end();
});

t.test('the process reads them', async (t) => {
  const cwd = tempDir(t);
  writeFileSync(join(cwd, 'secret'), `${SECRET}\n`);
  chmodSync(join(cwd, 'secret'), 0o400);
  const run = (env: Record<string, string>) =>
    runCommandLine(t, ['check-config'], { cwd, env: { MAX_MEMORY_USAGE: '16MB', ...env } });
  t.match(await run({ HOST: '0.0.0.0', JWT_SECRET_FILE: 'secret' }), { code: 0, stderr: '' });
  const short = await run({ JWT_SECRET_FILE: 'missing' });
  t.match(short, { code: 2, stderr: /JWT_SECRET_FILE="missing" can't be read \(ENOENT\)/ });
});
