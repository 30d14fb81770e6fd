/** From environment to configuration: defaults, ranges taken from the schema, relations, messages. */
import t from 'tap';
import { hostInUrl } from '../../src/config/host.ts';
import { ConfigError, type Environment, loadConfig } from '../../src/config/load.ts';
import { formatBytes } from '../../src/config/quantity.ts';
import { CONFIG_KEYS, isOptional, rangeOf, variableOf } from '../../src/config/schema.ts';
import { shownConfig } from '../../src/config/shown.ts';

function faultsOf(env: Environment): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

t.test('an empty environment gives the defaults', (t) => {
  t.strictSame(loadConfig({}), {
    port: 8080,
    host: '127.0.0.1',
    isAnonymousAllowed: false,
    adminHost: '127.0.0.1',
    jwksRefreshMs: 300_000,
    jwtRolesClaim: 'roles',
    jwtClockSkewMs: 30_000,
    workers: 3,
    queueSize: 1000,
    bulkQueueSize: 32_768,
    outcomeEvents: 1_000_000,
    shards: 16,
    storeBytesMax: 1024 ** 3,
    dataDir: './data',
    stockMin: 0,
    ackDefault: 'durable',
    isMetered: true,
    logLevel: 'info',
    shutdownTimeoutMs: 10_000,
    drainDelayMs: 0,
    bodyBytesMax: 1024 ** 2,
    batchBytesMax: 16 * 1024 ** 2,
    batchesMax: 8,
    headersTimeoutMs: 5_000,
    requestTimeoutMs: 10_000,
    answerTimeoutMs: 30_000,
    keepAliveTimeoutMs: 65_000,
    httpConnectionsMax: 10_000,
    rateLimit: 'off',
    history: 'off',
    dedupeEvents: 1_000_000,
    changesHeartbeatMs: 15_000,
    changesFollowersMax: 2000,
    changesBufferBytesMax: 1024 ** 2,
    segmentBytesMax: 64 * 1024 ** 2,
    storageTimeoutMs: 5_000,
    stallTimeoutMs: 5_000,
    checkpointBytes: 256 * 1024 ** 2,
    logRetention: '1GB',
    diskReserveBytes: 64 * 1024 ** 2,
    sinkBatchSize: 1000,
    sinkFlushIntervalMs: 1000,
    sinkConnectionsMax: 100,
    sinkTimeoutMs: 30_000,
    retryAttemptsMax: 3,
    retryInitialMs: 100,
    retryMaxMs: 30_000,
    breakerThreshold: 5,
    breakerTimeoutMs: 60_000,
    deadLettersMax: 10_000,
  });
  t.end();
});

t.test('every variable reaches its own property', (t) => {
  const config = loadConfig({
    PORT: '0',
    HOST: '::1',
    ALLOW_ANONYMOUS: 'true',
    ADMIN_PORT: '0',
    ADMIN_HOST: '::1',
    JWKS_URL: 'https://issuer.example/keys',
    JWKS_REFRESH: '10m',
    JWT_ISSUER: 'https://issuer.example',
    JWT_AUDIENCE: 'products',
    JWT_ROLES_CLAIM: 'realm_access.roles',
    JWT_CLOCK_SKEW: '5s',
    WORKERS: '2',
    QUEUE_SIZE: '7',
    BULK_QUEUE_SIZE: '70',
    OUTCOME_WINDOW: '5000',
    SHARDS: '5',
    MAX_MEMORY_USAGE: '64MiB',
    DATA_DIR: '/var/lib/product service',
    ACK: 'accepted',
    STOCK_MIN: '-50',
    METRICS: 'false',
    LOG_LEVEL: 'silent',
    SHUTDOWN_TIMEOUT: '1m',
    DRAIN_DELAY: '250ms',
    BODY_LIMIT: '2000',
    BATCH_LIMIT: '3000',
    BATCH_CONCURRENCY: '9',
    HEADERS_TIMEOUT: '1s',
    REQUEST_TIMEOUT: '2s',
    ANSWER_TIMEOUT: '4s',
    KEEP_ALIVE_TIMEOUT: '3s',
    HTTP_MAX_CONNECTIONS: '9',
    RATE_LIMIT: '500/1m',
    HISTORY: '90d',
    RATE_LIMIT_READ: '1000/1s',
    RATE_LIMIT_WRITE: 'off',
    RATE_LIMIT_BULK: '10000000/9999h',
    TRUST_PROXY: '10.0.0.0/8,::1',
    CORS_ORIGINS: 'https://a.example',
    TLS_CERT: '/c.pem',
    TLS_KEY: '/k.pem',
    DEDUPE_WINDOW: '2000',
    CHANGES_HEARTBEAT: '6s',
    CHANGES_FOLLOWERS_MAX: '8',
    CHANGES_BUFFER: '128KiB',
    SEGMENT_SIZE: '2MB',
    STORAGE_TIMEOUT: '4s',
    STALL_TIMEOUT: '7s',
    CHECKPOINT_EVERY: '3MB',
    LOG_RETENTION: '24h',
    DISK_RESERVE: '0',
    SINKS: 'sqlite:products.db',
    BATCH_SIZE: '10',
    BATCH_FLUSH_INTERVAL: '20ms',
    MAX_CONNECTIONS: '15',
    CONNECTION_TIMEOUT: '7s',
    MAX_RETRY_ATTEMPTS: '4',
    INITIAL_RETRY_DELAY: '11ms',
    MAX_RETRY_DELAY: '12s',
    CIRCUIT_BREAKER_THRESHOLD: '6',
    CIRCUIT_BREAKER_TIMEOUT: '13s',
    DEAD_LETTERS_MAX: '14',
    PATH: '/usr/bin',
  });
  t.strictSame(config, {
    port: 0,
    host: '::1',
    isAnonymousAllowed: true,
    adminPort: 0,
    adminHost: '::1',
    jwksUrl: 'https://issuer.example/keys',
    jwksRefreshMs: 600_000,
    jwtIssuer: 'https://issuer.example',
    jwtAudience: 'products',
    jwtRolesClaim: 'realm_access.roles',
    jwtClockSkewMs: 5_000,
    workers: 2,
    queueSize: 7,
    bulkQueueSize: 70,
    outcomeEvents: 5000,
    shards: 5,
    storeBytesMax: 64 * 1024 ** 2,
    dataDir: '/var/lib/product service',
    ackDefault: 'accepted',
    stockMin: -50,
    isMetered: false,
    logLevel: 'silent',
    shutdownTimeoutMs: 60_000,
    drainDelayMs: 250,
    bodyBytesMax: 2000,
    batchBytesMax: 3000,
    batchesMax: 9,
    headersTimeoutMs: 1_000,
    requestTimeoutMs: 2_000,
    answerTimeoutMs: 4_000,
    keepAliveTimeoutMs: 3_000,
    httpConnectionsMax: 9,
    rateLimit: '500/1m',
    history: '90d',
    readRate: '1000/1s',
    writeRate: 'off',
    bulkRate: '10000000/9999h',
    trustProxy: '10.0.0.0/8,::1',
    corsOrigins: 'https://a.example',
    tlsCertPath: '/c.pem',
    tlsKeyPath: '/k.pem',
    dedupeEvents: 2_000,
    changesHeartbeatMs: 6000,
    changesFollowersMax: 8,
    changesBufferBytesMax: 128 * 1024,
    segmentBytesMax: 2 * 1024 ** 2,
    storageTimeoutMs: 4_000,
    stallTimeoutMs: 7_000,
    checkpointBytes: 3 * 1024 ** 2,
    logRetention: '24h',
    diskReserveBytes: 0,
    sinks: 'sqlite:products.db',
    sinkBatchSize: 10,
    sinkFlushIntervalMs: 20,
    sinkConnectionsMax: 15,
    sinkTimeoutMs: 7_000,
    retryAttemptsMax: 4,
    retryInitialMs: 11,
    retryMaxMs: 12_000,
    breakerThreshold: 6,
    breakerTimeoutMs: 13_000,
    deadLettersMax: 14,
  });
  t.end();
});

t.test('the configuration is frozen and holds nothing that could change', (t) => {
  const config = loadConfig({});
  t.ok(Object.isFrozen(config));
  for (const value of Object.values(config)) t.not(typeof value, 'object');
  t.throws(() => Object.assign(config, { port: 1 }), TypeError);
  t.end();
});

t.test('an empty variable is refused, an undefined one takes the default', (t) => {
  for (const key of CONFIG_KEYS) {
    if (isOptional(key)) continue;
    const { env } = variableOf(key);
    const [fault, ...others] = faultsOf({ [env]: '' });
    t.match(fault, new RegExp(`^${env}="" must be `));
    t.same(others, []);
    t.same(faultsOf({ [env]: undefined }), []);
  }
  t.end();
});

t.test('an optional variable that is empty is not set, and has no default', (t) => {
  const optional = CONFIG_KEYS.filter(isOptional);
  t.ok(optional.length > 0);
  for (const key of optional) {
    t.equal(variableOf(key).defaultText, '', key);
    for (const env of [{}, { [variableOf(key).env]: '' }]) t.notOk(key in loadConfig(env), key);
  }
  for (const key of CONFIG_KEYS) t.equal(isOptional(key), variableOf(key).defaultText === '', key);
  t.end();
});

t.test('a boolean is true or false, in these words', (t) => {
  t.equal(loadConfig({ ALLOW_ANONYMOUS: 'true' }).isAnonymousAllowed, true);
  t.equal(loadConfig({ ALLOW_ANONYMOUS: 'false' }).isAnonymousAllowed, false);
  for (const text of ['1', '0', 'TRUE', 'yes', 'on', ' true']) {
    t.strictSame(faultsOf({ ALLOW_ANONYMOUS: text }), [
      `ALLOW_ANONYMOUS="${text}" must be one of true, false`,
    ]);
  }
  t.end();
});

t.test('a secret is shown nowhere: not in a fault, not where the configuration is printed', (t) => {
  const secrets = CONFIG_KEYS.filter((key) => variableOf(key).secret === true);
  t.ok(secrets.includes('jwtSecret'));
  const secret = 'correct horse battery staple, 32+ bytes';
  const shown = shownConfig(loadConfig({ JWT_SECRET: secret, CHECKPOINT_EVERY: '2048MB' }));
  t.equal(shown.JWT_SECRET, '***');
  t.notMatch(JSON.stringify(shown), secret);
  t.match(shown, {
    PORT: '8080',
    DRAIN_DELAY: '0s',
    CHECKPOINT_EVERY: '2GB',
    ALLOW_ANONYMOUS: 'false',
  });
  t.notOk('JWT_ISSUER' in shown, 'what is not set is not shown');
  for (const key of secrets) {
    const { env } = variableOf(key);
    const faults = faultsOf({ [env]: `${secret}\u0000` });
    t.match(faults, [new RegExp(`^${env}=\\*\\*\\* must be `)]);
    t.notMatch(faults.join(), 'horse');
  }
  t.end();
});

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

t.test('HOST is an address or a name, and IPv6 may stand in brackets', (t) => {
  const hosts = {
    '::': '::',
    '[::]': '::',
    '[::1]': '::1',
    'fe80::1%eth0': 'fe80::1%eth0',
    '0.0.0.0': '0.0.0.0',
    localhost: 'localhost',
    'db-1.example.com.': 'db-1.example.com.',
    my_host: 'my_host',
  };
  for (const [HOST, host] of Object.entries(hosts)) {
    t.equal(loadConfig({ HOST, ALLOW_ANONYMOUS: 'true' }).host, host, HOST);
  }
  t.equal(hostInUrl('::1'), '[::1]');
  t.equal(hostInUrl('0.0.0.0'), '0.0.0.0');
  t.equal(hostInUrl('localhost'), 'localhost');
  const wrong = [
    'localhost:8080',
    '127.0.0.1:8080',
    '[::1]:8080',
    '[::1',
    '[127.0.0.1]',
    ':::',
    '127.0.0.256',
    'a..b',
    '-a',
    `${'a'.repeat(64)}.b`,
    'a b',
  ];
  for (const HOST of wrong) {
    t.match(faultsOf({ HOST }), [/ must be an IP address or a host name, without a port$/], HOST);
  }
  t.end();
});

t.test('DATA_DIR is refused where only a shell would have made it a path', (t) => {
  for (const DATA_DIR of ['~/d', '~', '"./d"', "'./d'", ['$', '{HOME}/d'].join(''), 'a/$(pwd)']) {
    t.match(faultsOf({ DATA_DIR }), [/ must be a path, written out/], DATA_DIR);
  }
  for (const DATA_DIR of ['./~d', "it's", './d#1', 'a b', 'a$']) {
    t.equal(loadConfig({ DATA_DIR }).dataDir, DATA_DIR);
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

t.test('a rate is a quota in whole seconds, and nothing like it', (t) => {
  for (const text of [
    '1000',
    '1000/s',
    '0/1s',
    '01/1s',
    '10/0s',
    '10/500ms',
    '1.5/1s',
    '1/1d',
    '10000001/1s',
    'OFF',
    '-1/1s',
    '1/10000s',
  ]) {
    t.match(faultsOf({ RATE_LIMIT: text }), [
      new RegExp(`^RATE_LIMIT="${text}" must be off, or a rate `),
    ]);
  }
  t.end();
});

t.test('proxies are trusted by their networks, and never all there are', (t) => {
  const good = ['10.0.0.0/8', '192.0.2.7', 'fd00::/8, ::1', '::ffff:10.0.0.1/128', ' 10.1.2.3/32 '];
  for (const text of good) t.equal(loadConfig({ TRUST_PROXY: text }).trustProxy, text);
  const bad = [
    'true',
    '1',
    'loopback',
    '10.0.0.0/33',
    '::/129',
    '0.0.0.0/0',
    '::/0',
    '10.0.0.0/8,',
    '10.0.0/8',
    '10.0.0.0/08',
    'fe80::1%eth0',
    '10.0.0.0/8/8',
    '*',
  ];
  for (const text of bad) {
    const [fault = '', ...others] = faultsOf({ TRUST_PROXY: text });
    t.equal(
      fault,
      `TRUST_PROXY=${JSON.stringify(text)} must be networks like 10.0.0.0/8, fd00::/8, 192.0.2.7`,
    );
    t.equal(others.length, 0);
  }
  t.end();
});

t.test('origins are exact', (t) => {
  const good = [
    'https://a.example',
    'http://localhost:5173, https://b.example:8443',
    'http://[::1]:8080',
  ];
  for (const text of good) t.equal(loadConfig({ CORS_ORIGINS: text }).corsOrigins, text);
  const bad = [
    '*',
    'null',
    'https://*.example',
    'https://a.example/',
    'https://a.example/x',
    'https://A.example',
    'https://a.example:443',
    'a.example',
    'file:///x',
    'https://a.example,',
    'https://u@a.example',
  ];
  for (const text of bad) {
    const [fault = '', ...others] = faultsOf({ CORS_ORIGINS: text });
    t.match(
      fault,
      `CORS_ORIGINS=${JSON.stringify(text)} must be origins like https://shop.example`,
    );
    t.equal(others.length, 0);
  }
  t.end();
});

t.test('certificate and key go together', (t) => {
  const fault = 'TLS_CERT and TLS_KEY go together: set both, or neither';
  t.strictSame(faultsOf({ TLS_CERT: 'c.pem' }), [fault]);
  t.strictSame(faultsOf({ TLS_KEY: 'k.pem' }), [fault]);
  t.end();
});
