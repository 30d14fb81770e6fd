/** What is refused: ranges taken from the schema, relations between variables, and in which words. */
import t from 'tap';
import { type Environment, loadConfig } from '../../src/config/load.ts';
import { formatBytes } from '../../src/config/quantity.ts';
import { CONFIG_KEYS, rangeOf, variableOf } from '../../src/config/schema.ts';
import { faultsOf } from './faults-of.ts';

t.test('one step beyond either end of a range is refused', (t) => {
  const unitOf: Record<string, string> = { integer: '', bytes: 'B', duration: 'ms' };
  for (const key of CONFIG_KEYS) {
    const { env, kind } = variableOf(key);
    if (!(kind in unitOf)) continue;
    const { minimum, maximum } = rangeOf(key);
    for (const outside of [minimum - 1, maximum + 1]) {
      t.match(faultsOf({ [env]: `${outside}${unitOf[kind]}` }), [new RegExp(`^${env}="`)]);
    }
    for (const inside of [minimum, maximum]) {
      const faults = faultsOf({ [env]: `${inside}${unitOf[kind]}` });
      t.notMatch(faults.join(), `${env}="`, `${env}=${inside} is in range, whatever its relations`);
    }
  }
  t.end();
});

t.test('the message names variable, value and what is allowed', (t) => {
  const expected: readonly [Environment, string][] = [
    [{ PORT: '80x' }, 'PORT="80x" must be an integer from 0 to 65535'],
    [{ WORKERS: '1e1' }, 'WORKERS="1e1" must be an integer from 1 to 64'],
    [
      { SEGMENT_SIZE: '1kb' },
      'SEGMENT_SIZE="1kb" must be a size from 1MB to 1GB, like 512KB or 1GB',
    ],
    [
      { STORAGE_TIMEOUT: '5' },
      'STORAGE_TIMEOUT="5" must be a duration from 10ms to 1h, like 250ms, 10s or 5m',
    ],
    [{ ACK: 'Durable' }, 'ACK="Durable" must be one of accepted, durable'],
    [{ HOST: 'http://x' }, 'HOST="http://x" must be an IP address or a host name'],
    [{ DATA_DIR: 'a\u0000b' }, 'DATA_DIR="a\\u0000b" must be a path'],
  ];
  for (const [env, message] of expected) {
    t.throws(() => loadConfig(env), { name: 'ConfigError', message });
  }
  t.end();
});

t.test('all faults are told at once, on one line, and a long value is cut', (t) => {
  const env = { PORT: '1\n2', QUEUE_SIZE: '0', LOG_LEVEL: 'x'.repeat(10_000) };
  t.equal(faultsOf(env).length, 3);
  t.throws(() => loadConfig(env), {
    message:
      'PORT="1\\n2" must be an integer from 0 to 65535; ' +
      'QUEUE_SIZE="0" must be an integer from 1 to 1048576; ' +
      `LOG_LEVEL="${'x'.repeat(80)}…" must be one of trace, debug, info, warn, error, fatal, silent`,
  });
  t.end();
});

t.test('relations between variables are checked, up to their edges', (t) => {
  const good: readonly Environment[] = [
    { WORKERS: '16', SHARDS: '16' },
    { HEADERS_TIMEOUT: '10s', REQUEST_TIMEOUT: '10s' },
    { DRAIN_DELAY: '9999ms', SHUTDOWN_TIMEOUT: '10s' },
    { MAX_MEMORY_USAGE: '32GB', SHARDS: '16' },
    { MAX_MEMORY_USAGE: '64KB', SHARDS: '16' },
  ];
  for (const env of good) t.same(faultsOf(env), [], JSON.stringify(env));

  const bad: readonly [Environment, string][] = [
    [
      { WORKERS: '17', SHARDS: '16' },
      'WORKERS=17 must be at most SHARDS=16, since each worker owns at least one shard',
    ],
    [
      { HEADERS_TIMEOUT: '10001ms' },
      'HEADERS_TIMEOUT=10001ms must be at most REQUEST_TIMEOUT=10s, since headers are a part of the request',
    ],
    [
      { DRAIN_DELAY: '10s' },
      'DRAIN_DELAY=10s must be less than SHUTDOWN_TIMEOUT=10s, since it is a part of it',
    ],
    [
      { MAX_MEMORY_USAGE: formatBytes(32 * 1024 ** 3 + 1), SHARDS: '16' },
      'MAX_MEMORY_USAGE=34359738369B must be from 64KB to 32GB with SHARDS=16, since a shard takes 4KB to 2GB',
    ],
    [
      { MAX_MEMORY_USAGE: '65535B' },
      'MAX_MEMORY_USAGE=65535B must be from 64KB to 32GB with SHARDS=16, since a shard takes 4KB to 2GB',
    ],
  ];
  for (const [env, message] of bad)
    t.throws(() => loadConfig(env), { name: 'ConfigError', message });
  t.end();
});
