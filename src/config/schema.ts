/**
 * The configuration of the service: one schema, from which the type, the checks, `--help`, the
 * table of docs/configuration.md and `.env.example` are all derived. Pure data, any thread. (Over 300
 * lines: it is a list.)
 * A property's range stands in JSON Schema's own words (minimum, maximum, pattern); what the
 * environment needs (variable, default as text, kind) stands beside it under `variable`.
 */
import { type Static, type TLiteral, type TUnion, Type, TypeGuard } from '@sinclair/typebox';
import { NO_RATE, RATE_PATTERN } from './rate.ts';

/** How the text of a variable is read: see `quantity.ts` for the numbers. */
export type VariableKind =
  | 'integer'
  | 'bytes'
  | 'duration'
  | 'boolean'
  | 'choice'
  | 'text'
  | 'networks'
  | 'origins'
  | 'host';

/** What is known of one variable apart from the range of its value. */
export interface Variable {
  /** Its name in the environment. */
  readonly env: string;
  readonly kind: VariableKind;
  /** The default, as a user would write it; `''` of an optional one, which is not set then. */
  readonly defaultText: string;
  /** One sentence, without a full stop at the end. */
  readonly description: string;
  /** What is allowed, in words, where the kind and the range do not say it. */
  readonly allowedText?: string;
  /** Whether its value is never shown: neither in messages nor where the configuration is printed. */
  readonly secret?: boolean;
}

type NumberVariable = Omit<Variable, 'kind'> & {
  readonly minimum: number;
  readonly maximum: number;
};

const RATE_ALLOWED = 'off, or a rate from 1/9999h to 10000000/1s, like 1000/1s';

const KB = 1024;
const MB = 1024 * KB;
const GB = 1024 * MB;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** The largest and smallest part of MAX_MEMORY_USAGE that one shard may get: a shard is one buffer. */
export const SHARD_BYTES_MAX = 2 * GB;
export const SHARD_BYTES_MIN = 4 * KB;

/** Stands in the place of a secret wherever it would be shown. */
export const MASK = '***';

export const ConfigSchema = Type.Object({
  port: integer({
    env: 'PORT',
    defaultText: '8080',
    minimum: 0,
    maximum: 65_535,
    description: 'TCP port to listen on; 0 takes any free one and logs it',
  }),
  host: host({
    env: 'HOST',
    defaultText: '127.0.0.1',
    allowedText: 'an IP address or a host name, without a port',
    description: 'Address to listen on; 0.0.0.0 or :: serve other machines too',
  }),
  isAnonymousAllowed: boolean({
    env: 'ALLOW_ANONYMOUS',
    defaultText: 'false',
    description:
      'Serve other machines without authentication: a HOST that is not loopback needs this or a key for tokens',
  }),
  adminPort: Type.Optional(
    integer({
      env: 'ADMIN_PORT',
      defaultText: '',
      minimum: 0,
      maximum: 65_535,
      description:
        'TCP port of a listener of its own for administration, which PORT answers 404 then; 0 takes any free one and logs it',
    }),
  ),
  adminHost: host({
    env: 'ADMIN_HOST',
    defaultText: '127.0.0.1',
    allowedText: 'an IP address or a host name, without a port',
    description:
      'Address of that listener; without authentication, whoever reaches it may administer',
  }),
  jwtSecret: Type.Optional(
    text({
      env: 'JWT_SECRET',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'a text of at least 32 bytes, taken as it is (nothing is decoded)',
      description:
        'Turns authentication on: every request but probes and documentation needs a token signed with HS256 under this secret',
      secret: true,
    }),
  ),
  jwtPublicKey: Type.Optional(
    text({
      env: 'JWT_PUBLIC_KEY',
      defaultText: '',
      pattern: '^[^\\u0000]{1,16384}$',
      allowedText:
        'a public key or certificate in PEM (\\n may stand for line ends), or a path to it',
      description:
        'The same with tokens signed under its private key: RS256 (RSA from 2048 bits), ES256 (P-256) or EdDSA (Ed25519), as the key is',
    }),
  ),
  jwksUrl: Type.Optional(
    text({
      env: 'JWKS_URL',
      defaultText: '',
      pattern: '^[\\u0021-\\u007e]{1,2048}$',
      allowedText: 'an https URL, or http on this machine',
      description:
        "The same with an issuer's key set, which may rotate; needs JWT_ISSUER and JWT_AUDIENCE",
    }),
  ),
  jwksRefreshMs: duration({
    env: 'JWKS_REFRESH',
    defaultText: '5m',
    minimum: SECOND_MS,
    maximum: HOUR_MS,
    description:
      'How often the key set is fetched anew: a key that was withdrawn is taken for so long at the most',
  }),
  jwtIssuer: Type.Optional(
    text({
      env: 'JWT_ISSUER',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,1024}$',
      allowedText: 'a text, mostly a URL',
      description: 'The iss that a token must have',
    }),
  ),
  jwtAudience: Type.Optional(
    text({
      env: 'JWT_AUDIENCE',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,1024}$',
      allowedText: 'a text',
      description: 'The aud that a token must have, alone or among others',
    }),
  ),
  jwtRolesClaim: text({
    env: 'JWT_ROLES_CLAIM',
    defaultText: 'roles',
    pattern: '^[^\\u0000-\\u0020]{1,256}$',
    allowedText: 'the name of a claim, or a path through objects like realm_access.roles',
    description:
      'The claim that has the roles reader, writer or admin, as an array or as words in one text',
  }),
  jwtClockSkewMs: duration({
    env: 'JWT_CLOCK_SKEW',
    defaultText: '30s',
    minimum: 0,
    maximum: 5 * MINUTE_MS,
    description: "How far the issuer's clock may be off this machine's",
  }),
  workers: integer({
    env: 'WORKERS',
    defaultText: '3',
    minimum: 1,
    maximum: 64,
    description: 'Threads that apply events to the store; at most SHARDS, since each owns shards',
  }),
  queueSize: integer({
    env: 'QUEUE_SIZE',
    defaultText: '1000',
    minimum: 1,
    maximum: 1_048_576,
    description: 'Events in flight, exactly; one more is answered 503 with Retry-After',
  }),
  outcomeEvents: integer({
    env: 'OUTCOME_WINDOW',
    defaultText: '1000000',
    minimum: 1000,
    maximum: 1_073_741_824,
    description:
      'Events whose outcome can be asked for, the newest ones; a byte of memory each, and each of those not yet applied, rounded up to a power of two',
  }),
  bulkQueueSize: integer({
    env: 'BULK_QUEUE_SIZE',
    defaultText: '32768',
    minimum: 1,
    maximum: 1_048_576,
    description:
      'Events of batches in flight; a batch waits while there are more. They have a queue of their own (128 bytes an event), so that an import never fills the one of single events',
  }),
  shards: integer({
    env: 'SHARDS',
    defaultText: '16',
    minimum: 1,
    maximum: 1_024,
    description: 'Parts of the store, each written by one worker',
  }),
  storeBytesMax: bytes({
    env: 'MAX_MEMORY_USAGE',
    defaultText: '1GB',
    minimum: SHARD_BYTES_MIN,
    maximum: 1_024 * SHARD_BYTES_MAX,
    description:
      'Size of the store, which fixes how many products fit; divided by SHARDS it must lie between 4KB and 2GB',
  }),
  dataDir: text({
    env: 'DATA_DIR',
    defaultText: './data',
    // What a shell would have replaced or taken away is a folder of that name to everybody else.
    pattern: '^(?![~"\'`]|.*\\$[{(])[^\\u0000-\\u001f]{1,4096}$',
    allowedText: 'a path, written out (a shell replaces ~, quotes and $, the service does not)',
    description: 'Folder of the log; held by one process at a time',
  }),
  ackDefault: choice(['accepted', 'durable', 'applied'], {
    env: 'ACK',
    defaultText: 'durable',
    description:
      'When a POST is answered if it does not say: accepted (in memory), durable (flushed to disk) or applied (durable, and every read shows it)',
  }),
  stockMin: integer({
    env: 'STOCK_MIN',
    defaultText: '0',
    minimum: -Number.MAX_SAFE_INTEGER,
    maximum: 0,
    description:
      'The least stock that an event may set; below zero where a shop has backorders or oversells',
  }),
  logLevel: choice(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'], {
    env: 'LOG_LEVEL',
    defaultText: 'info',
    description: 'The least severe lines that are logged',
  }),
  isMetered: boolean({
    env: 'METRICS',
    defaultText: 'true',
    description:
      'Whether requests and the ages of events are counted, and /metrics tells them and all else',
  }),
  shutdownTimeoutMs: duration({
    env: 'SHUTDOWN_TIMEOUT',
    defaultText: '10s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'Time from the signal to stop (SIGTERM, SIGINT, SIGQUIT, SIGUSR2) to the exit, at most',
  }),
  drainDelayMs: duration({
    env: 'DRAIN_DELAY',
    defaultText: '0s',
    minimum: 0,
    maximum: HOUR_MS,
    description:
      'How long the service still serves after the signal, with /readyz red, so that load balancers turn away first; less than SHUTDOWN_TIMEOUT',
  }),
  bodyBytesMax: bytes({
    env: 'BODY_LIMIT',
    defaultText: '1MB',
    minimum: 128,
    maximum: 64 * MB,
    description: 'Largest request body; a larger one is answered 413',
  }),
  batchBytesMax: bytes({
    env: 'BATCH_LIMIT',
    defaultText: '16MB',
    minimum: 128,
    maximum: 256 * MB,
    description:
      'Largest batch that is taken whole or not at all, decoded; it may take up to four times that in memory while it is validated. Batches with on_error=continue may be of any length',
  }),
  batchesMax: integer({
    env: 'BATCH_CONCURRENCY',
    defaultText: '8',
    minimum: 1,
    maximum: 1000,
    description: 'Batches under way at a time; one more is answered 503 with Retry-After',
  }),
  headersTimeoutMs: duration({
    env: 'HEADERS_TIMEOUT',
    defaultText: '5s',
    minimum: 100,
    maximum: HOUR_MS,
    description: 'Time a client has to send the headers of a request; at most REQUEST_TIMEOUT',
  }),
  requestTimeoutMs: duration({
    env: 'REQUEST_TIMEOUT',
    defaultText: '10s',
    minimum: 100,
    maximum: HOUR_MS,
    description: 'Time a client has to send a whole request',
  }),
  answerTimeoutMs: duration({
    env: 'ANSWER_TIMEOUT',
    defaultText: '30s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'How long a client may take nothing of an answer that waits for it; each kilobyte that it takes buys a second more, up to this',
  }),
  // The side that closes an idle connection first must be the load balancer: if it is the service,
  // a request on its way meets a closed socket. Balancers commonly close after 60 s (nginx, AWS).
  keepAliveTimeoutMs: duration({
    env: 'KEEP_ALIVE_TIMEOUT',
    defaultText: '65s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'How long an idle connection is kept; longer than the 60s after which load balancers commonly drop theirs, so that no request meets a closing socket',
  }),
  httpConnectionsMax: integer({
    env: 'HTTP_MAX_CONNECTIONS',
    defaultText: '10000',
    minimum: 1,
    maximum: 1_000_000,
    description: 'Open connections over HTTP; one more is closed at once',
  }),
  rateLimit: text({
    env: 'RATE_LIMIT',
    defaultText: NO_RATE,
    pattern: RATE_PATTERN,
    allowedText: RATE_ALLOWED,
    description:
      'What one client may have of each kind, reads, writes and events in batches, if that has no limit of its own; a client is the subject of its token, else its IPv4 address or the first 64 bits of its IPv6 one',
  }),
  readRate: Type.Optional(
    text({
      env: 'RATE_LIMIT_READ',
      defaultText: '',
      pattern: RATE_PATTERN,
      allowedText: RATE_ALLOWED,
      description: 'Reads that one client may have, unknown paths among them',
    }),
  ),
  writeRate: Type.Optional(
    text({
      env: 'RATE_LIMIT_WRITE',
      defaultText: '',
      pattern: RATE_PATTERN,
      allowedText: RATE_ALLOWED,
      description: 'Single writes that one client may have',
    }),
  ),
  bulkRate: Type.Optional(
    text({
      env: 'RATE_LIMIT_BULK',
      defaultText: '',
      pattern: RATE_PATTERN,
      allowedText: RATE_ALLOWED,
      description:
        'Events in batches that one client may have; a stream is slowed down to it, and what a batch taken whole has beyond it is owed',
    }),
  ),
  trustProxy: Type.Optional(
    networks({
      env: 'TRUST_PROXY',
      defaultText: '',
      allowedText: 'networks like 10.0.0.0/8, fd00::/8, 192.0.2.7',
      description: 'Proxies whose X-Forwarded-For says who the client is; nobody else is believed',
    }),
  ),
  corsOrigins: Type.Optional(
    origins({
      env: 'CORS_ORIGINS',
      defaultText: '',
      allowedText: 'origins like https://shop.example, http://localhost:5173',
      description: 'Origins whose pages may use the service from a browser (CORS)',
    }),
  ),
  tlsCertPath: Type.Optional(
    text({
      env: 'TLS_CERT',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'the path of a PEM file',
      description:
        'Certificate, and those between it and the root; with it and TLS_KEY the service speaks TLS only. SIGHUP reads both anew',
    }),
  ),
  tlsKeyPath: Type.Optional(
    text({
      env: 'TLS_KEY',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'the path of a PEM file',
      description: "The certificate's private key, without a passphrase",
    }),
  ),
  dedupeEvents: integer({
    env: 'DEDUPE_WINDOW',
    defaultText: '1000000',
    minimum: 1_000,
    maximum: 100_000_000,
    description:
      'Events with an Idempotency-Key or event_id whose repetition is known, at least; takes 32 bytes × the next power of two from 8,192 more than this (32 MB for the default), and 160 bytes for each batch whose key is remembered: as many, but 1,024 to 65,536',
  }),
  changesHeartbeatMs: duration({
    env: 'CHANGES_HEARTBEAT',
    defaultText: '15s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'How often a stream of changes says that it is alive while nothing changes',
  }),
  changesFollowersMax: integer({
    env: 'CHANGES_FOLLOWERS_MAX',
    defaultText: '2000',
    minimum: 0,
    maximum: 1_000_000,
    description: 'Streams of changes open at the same time; one more is turned away',
  }),
  changesBufferBytesMax: bytes({
    env: 'CHANGES_BUFFER',
    defaultText: '1MB',
    minimum: 64 * KB,
    maximum: GB,
    description:
      'What a stream of changes may hold for a client that reads too slowly, before that is dropped; clients share the memory of what they have in common',
  }),
  segmentBytesMax: bytes({
    env: 'SEGMENT_SIZE',
    defaultText: '64MB',
    minimum: MB,
    maximum: GB,
    description: "Size of one of the log's files",
  }),
  storageTimeoutMs: duration({
    env: 'STORAGE_TIMEOUT',
    defaultText: '5s',
    minimum: 10,
    maximum: HOUR_MS,
    description: 'How long a write waits for a failing disk before it is answered 503',
  }),
  stallTimeoutMs: duration({
    env: 'STALL_TIMEOUT',
    defaultText: '5s',
    minimum: 100,
    maximum: HOUR_MS,
    description:
      'How long the log thread or a worker may stand still with events waiting before /readyz turns red and says which',
  }),
  checkpointBytes: bytes({
    env: 'CHECKPOINT_EVERY',
    defaultText: '256MB',
    minimum: MB,
    maximum: 1_024 * GB,
    description:
      'Log behind the oldest part of the checkpoint at the most, as long as the disk can keep up; it bounds what a start has to replay',
  }),
  logRetention: text({
    env: 'LOG_RETENTION',
    defaultText: '1GB',
    pattern: '^(0|[1-9][0-9]{0,14})([KMGT]i?B|B|ms|s|m|h)$',
    allowedText: 'a size like 1GB, or an age like 24h',
    description:
      'How much log is kept that the last two states of each part of the checkpoint do not need',
  }),
  history: text({
    env: 'HISTORY',
    defaultText: 'off',
    pattern: '^(off|forever|[1-9][0-9]{0,5}(s|m|h|d))$',
    allowedText: 'off, forever, or an age like 90d or 12h',
    description:
      'How long every value that price and stock ever had is kept, by event time, in history.sqlite in DATA_DIR; off keeps none',
  }),
  diskReserveBytes: bytes({
    env: 'DISK_RESERVE',
    defaultText: '64MB',
    minimum: 0,
    maximum: 1_024 * GB,
    description:
      'Free disk space below which writes are answered 503, so that there is always room to stop cleanly; 0 turns the watch off',
  }),
  log: choice(['file', 'jetstream'], {
    env: 'LOG',
    defaultText: 'file',
    description:
      'Where events get their order: this instance alone (file), or a stream of NATS JetStream that many instances share; either way they lie in DATA_DIR too',
  }),
  cluster: Type.Optional(
    text({
      env: 'CLUSTER',
      defaultText: '',
      pattern: '^[a-z0-9][a-z0-9-]{0,31}$',
      allowedText: 'up to 32 lower-case letters, digits and dashes',
      description: 'Name of the cluster that this instance belongs to; with LOG=jetstream only',
    }),
  ),
  natsUrl: Type.Optional(
    text({
      env: 'NATS_URL',
      defaultText: '',
      pattern: '^nats://[^\\s,]+(,nats://[^\\s,]+)*$',
      allowedText: 'nats:// addresses, with commas between',
      description:
        'Servers of NATS; user and password may stand before the host, as in nats://user:password@host:4222',
      secret: true,
    }),
  ),
  sinks: Type.Optional(
    text({
      env: 'SINKS',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,8192}$',
      allowedText:
        'any of sqlite:PATH, postgres://… (with ?schema=NAME, or public), redis://… (with ?prefix=TEXT, or product:)',
      description:
        'Databases that the present state of all products is kept in, each in a thread of its own; several are separated by commas',
      secret: true,
    }),
  ),
  sinkBatchSize: integer({
    env: 'BATCH_SIZE',
    defaultText: '1000',
    minimum: 1,
    maximum: 100_000,
    description: 'Products that a sink writes in one transaction at the most',
  }),
  sinkFlushIntervalMs: duration({
    env: 'BATCH_FLUSH_INTERVAL',
    defaultText: '1s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'How long a sink waits for a batch to fill',
  }),
  sinkConnectionsMax: integer({
    env: 'MAX_CONNECTIONS',
    defaultText: '100',
    minimum: 1,
    maximum: 10_000,
    description:
      "Connections to a sink's database at the most; a sink writes on one and opens others only for queries beside it",
  }),
  sinkTimeoutMs: duration({
    env: 'CONNECTION_TIMEOUT',
    defaultText: '30s',
    minimum: 100,
    maximum: HOUR_MS,
    description: 'How long a sink waits for a connection, and for each call of its database',
  }),
  retryAttemptsMax: integer({
    env: 'MAX_RETRY_ATTEMPTS',
    defaultText: '3',
    minimum: 1,
    maximum: 1_000,
    description: 'Attempts of a sink, the first included, before its breaker counts a failure',
  }),
  retryInitialMs: duration({
    env: 'INITIAL_RETRY_DELAY',
    defaultText: '100ms',
    minimum: 1,
    maximum: HOUR_MS,
    description:
      'Pause before the second attempt at the most; it doubles with each that fails, and any part of it is taken by chance',
  }),
  retryMaxMs: duration({
    env: 'MAX_RETRY_DELAY',
    defaultText: '30s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'The longest pause between two attempts; at least INITIAL_RETRY_DELAY',
  }),
  breakerThreshold: integer({
    env: 'CIRCUIT_BREAKER_THRESHOLD',
    defaultText: '5',
    minimum: 1,
    maximum: 1_000,
    description: "Failures in a row that open a sink's breaker",
  }),
  breakerTimeoutMs: duration({
    env: 'CIRCUIT_BREAKER_TIMEOUT',
    defaultText: '60s',
    minimum: 1,
    maximum: HOUR_MS,
    description: 'How long an open breaker leaves a database alone before it tries once',
  }),
  deadLettersMax: integer({
    env: 'DEAD_LETTERS_MAX',
    defaultText: '10000',
    minimum: 1,
    maximum: 10_000_000,
    description:
      'Rows and events that are kept because they could not be delivered; a sink that has one more stands still',
  }),
});

/** The checked configuration: frozen, flat, units last in the names. Made by `loadConfig` only. */
export type Config = Readonly<Static<typeof ConfigSchema>>;

export type ConfigKey = keyof Config;

/** Gives what is known of one property's variable. */
export function variableOf(key: ConfigKey): Variable {
  return ConfigSchema.properties[key].variable;
}

/** Gives the range of a property that is a number. */
export function rangeOf(key: ConfigKey): { readonly minimum: number; readonly maximum: number } {
  const { minimum, maximum } = ConfigSchema.properties[key];
  return { minimum, maximum };
}

/** Whether a property may be absent, which it is if its variable is empty or not set. */
export function isOptional(key: ConfigKey): boolean {
  return TypeGuard.IsOptional(ConfigSchema.properties[key]);
}

/** All properties, in the order in which a user reads them. */
export const CONFIG_KEYS: readonly ConfigKey[] = Object.freeze(
  Object.keys(ConfigSchema.properties) as ConfigKey[],
);

function integer({ minimum, maximum, ...variable }: NumberVariable) {
  return Type.Integer({ minimum, maximum, variable: { ...variable, kind: 'integer' } });
}

function bytes({ minimum, maximum, ...variable }: NumberVariable) {
  return Type.Integer({ minimum, maximum, variable: { ...variable, kind: 'bytes' } });
}

function duration({ minimum, maximum, ...variable }: NumberVariable) {
  return Type.Integer({ minimum, maximum, variable: { ...variable, kind: 'duration' } });
}

/** Reads `true` and `false`. */
function boolean(variable: Omit<Variable, 'kind'>) {
  return Type.Boolean({ variable: { ...variable, kind: 'boolean' } });
}

function text({ pattern, ...variable }: Omit<Variable, 'kind'> & { readonly pattern: string }) {
  return Type.String({ pattern, variable: { ...variable, kind: 'text' } });
}

function networks(variable: Omit<Variable, 'kind'>) {
  return Type.String({ variable: { ...variable, kind: 'networks' } });
}

function origins(variable: Omit<Variable, 'kind'>) {
  return Type.String({ variable: { ...variable, kind: 'origins' } });
}

function host(variable: Omit<Variable, 'kind'>) {
  return Type.String({ variable: { ...variable, kind: 'host' } });
}

function choice<const Values extends readonly string[]>(
  values: Values,
  variable: Omit<Variable, 'kind'>,
) {
  const literals = values.map((value) => Type.Literal(value));
  return Type.Union(literals, {
    variable: { ...variable, kind: 'choice', allowedText: values.join(', ') },
  }) as unknown as TUnion<{ -readonly [I in keyof Values]: TLiteral<Values[I]> }>;
}
