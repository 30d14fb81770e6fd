/** The configuration as it is shown: each variable, in a user's words, no secret. */
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { CONFIG_KEYS, variableOf } from '../../src/config/schema.ts';
import { changedConfig, secretsOf, shownConfig } from '../../src/config/shown.ts';

t.test('every variable is shown, as it would be written', (t) => {
  const shown = shownConfig(loadConfig({}));
  t.match(shown, { PORT: '8080', MAX_MEMORY_USAGE: '1GB', STALL_TIMEOUT: '5s', ACK: 'durable' });
  const isSet = CONFIG_KEYS.map(variableOf).filter(({ defaultText }) => defaultText !== '');
  t.strictSame(
    Object.keys(shown),
    isSet.map(({ env }) => env),
  );
  // What is shown is what would be read.
  t.strictSame(loadConfig(shown), loadConfig({}));
  t.end();
});

t.test('what is not as by default is told apart', (t) => {
  t.strictSame(changedConfig(loadConfig({})), []);
  const env = {
    PORT: '0',
    MAX_MEMORY_USAGE: '512MiB',
    DRAIN_DELAY: '1500ms',
    DATA_DIR: '/d',
    HOST: '::1',
    LOG_RETENTION: '2GB',
  };
  const changed = [
    'PORT=0',
    'HOST=::1',
    'MAX_MEMORY_USAGE=512MB',
    'DATA_DIR=/d',
    'DRAIN_DELAY=1500ms',
    'LOG_RETENTION=2GB',
  ];
  t.strictSame(changedConfig(loadConfig(env)), changed);
  const path = `/with blank/${'x'.repeat(200)}`;
  const cut = [`DATA_DIR="${path.slice(0, 80)}…"`];
  t.strictSame(changedConfig(loadConfig({ DATA_DIR: path })), cut);
  t.end();
});

t.test('a secret is shown nowhere', (t) => {
  const secret = 'a secret of more than 32 bytes, for HS256';
  const config = loadConfig({ JWT_SECRET: secret });
  t.equal(shownConfig(config).JWT_SECRET, '***');
  t.strictSame(changedConfig(config), ['JWT_SECRET=***']);
  t.strictSame(secretsOf(config), [secret]);
  t.strictSame(secretsOf(loadConfig({})), []);
  t.end();
});
