/** From environment to configuration: defaults, each variable in its place, what is empty, what is secret. */
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { CONFIG_KEYS, isOptional, variableOf } from '../../src/config/schema.ts';
import { shownConfig } from '../../src/config/shown.ts';
import { faultsOf } from './faults-of.ts';

t.test('an empty environment gives the defaults', (t) => {
  t.strictSame(loadConfig({}), {
    port: 8080,
    host: '127.0.0.1',
    isAnonymousAllowed: false,
    httpThreads: 1,
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
    cleanupThreshold: '0.8',
    cleanupIntervalMs: 30_000,
    tombstoneRetentionMs: 86_400_000,
    history: 'off',
    historyIn: 'file',
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
    log: 'file',
    role: 'full',
    sinkBatchSize: 1000,
    sinkFlushIntervalMs: 1000,
    sinkConnectionsMax: 100,
    sinkTimeoutMs: 30_000,
    sinkHoldMs: 3_600_000,
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
    HTTP_THREADS: '4',
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
    HISTORY_IN: 'postgres',
    CLEANUP_THRESHOLD: '0.75',
    GC_INTERVAL: '2s',
    TOMBSTONE_RETENTION: '36h',
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
    SINKS: 'sqlite:products.db,postgres://h/db',
    BATCH_SIZE: '10',
    BATCH_FLUSH_INTERVAL: '20ms',
    MAX_CONNECTIONS: '15',
    CONNECTION_TIMEOUT: '7s',
    SINK_HOLD: '8m',
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
    httpThreads: 4,
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
    historyIn: 'postgres',
    cleanupThreshold: '0.75',
    cleanupIntervalMs: 2_000,
    tombstoneRetentionMs: 36 * 3_600_000,
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
    log: 'file',
    role: 'full',
    sinks: 'sqlite:products.db,postgres://h/db',
    sinkBatchSize: 10,
    sinkFlushIntervalMs: 20,
    sinkConnectionsMax: 15,
    sinkTimeoutMs: 7_000,
    sinkHoldMs: 480_000,
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

t.test('the threshold of the cleanup is a share, or off', (t) => {
  for (const text of ['off', '0', '0.125', '1']) {
    t.equal(loadConfig({ CLEANUP_THRESHOLD: text }).cleanupThreshold, text);
  }
  for (const text of ['1.1', '80%', '-1', '.8']) {
    t.throws(() => loadConfig({ CLEANUP_THRESHOLD: text }), /CLEANUP_THRESHOLD/);
  }
  t.end();
});
