/** Each error code has one class, docs/sinks.md tells the classes, and the sinks classify by the tables. */
import { readFileSync } from 'node:fs';
import * as redis from '@redis/client';
import { ClientClosedError } from '@redis/client';
import t from 'tap';
import { classOfNetworkError, NETWORK_ERRORS } from '../../src/sinks/network-errors.ts';
import {
  classOfSqlState,
  SQLSTATE_CLASSES,
  SQLSTATES,
} from '../../src/sinks/postgres/postgres-errors.ts';
import { PostgresSink } from '../../src/sinks/postgres/postgres-sink.ts';
import {
  classOfRedisError,
  REDIS_CLIENT_ERRORS,
  REDIS_ERRORS,
} from '../../src/sinks/redis/redis-errors.ts';
import { SinkTimeoutError } from '../../src/sinks/sink.ts';
import { classOfSqliteCode, SQLITE_ERRORS } from '../../src/sinks/sqlite/sqlite-errors.ts';
import { SqliteSink } from '../../src/sinks/sqlite/sqlite-sink.ts';

const OPTIONS = { identity: '', timeoutMs: 1, connectionsMax: 1 };
const CLASSES = ['retryable', 'system', 'not-retryable', 'validation'];
const PAGE = readFileSync(new URL('../../docs/sinks.md', import.meta.url), 'utf8');

/** The rows of the page's table of codes: what stands first, and the class. */
const told = new Map(
  [...PAGE.matchAll(/^\| `([^`]+)` \| [^|]+ \| ([a-z-]+) \|$/gm)].map(
    ([, code = '', name = '']) => [code, name],
  ),
);

t.test("the page's table has every code of every client, with its class, and no other", (t) => {
  const known = new Map<string, string>([
    ...Object.values(SQLITE_ERRORS).map((each) => [each.name, each.class] as const),
    ...Object.entries(SQLSTATES).map(([code, each]) => [code, each.class] as const),
    ...Object.entries(SQLSTATE_CLASSES).map(([code, each]) => [`${code}*`, each.class] as const),
    ...Object.entries(REDIS_ERRORS),
    ...Object.entries(REDIS_CLIENT_ERRORS),
    ...Object.entries(NETWORK_ERRORS),
  ]);
  t.strictSame([...told].sort(), [...known].sort());
  for (const [code, name] of known) t.ok(CLASSES.includes(name), code);
  t.end();
});

t.test(
  'a whole SQLSTATE stands before its class; what is unknown is for somebody to look at',
  (t) => {
    t.equal(classOfSqlState('53200'), 'system');
    t.equal(classOfSqlState('53300'), 'retryable');
    t.equal(classOfSqlState('40P01'), 'retryable');
    t.equal(classOfSqlState('22003'), 'validation');
    t.equal(classOfSqlState('ZZ000'), 'not-retryable');
    t.end();
  },
);

t.test('extended codes of SQLite are of the class of their primary code', (t) => {
  t.equal(classOfSqliteCode(517), 'retryable'); // SQLITE_BUSY_SNAPSHOT
  t.equal(classOfSqliteCode(1811), 'validation'); // SQLITE_CONSTRAINT_TRIGGER
  t.equal(classOfSqliteCode(778), 'system'); // SQLITE_IOERR_WRITE
  t.equal(classOfSqliteCode(12), 'not-retryable');
  t.end();
});

t.test("Redis: the reply's first word, or the client's own error", (t) => {
  t.equal(
    classOfRedisError(new Error('LOADING Redis is loading the dataset in memory')),
    'retryable',
  );
  t.equal(classOfRedisError(new Error('ERR Function not found')), 'retryable');
  t.equal(classOfRedisError(new Error('ERR max number of clients reached')), 'retryable');
  t.equal(classOfRedisError(new Error('OOM command not allowed')), 'system');
  t.equal(classOfRedisError(new Error('WRONGTYPE Operation against a key')), 'validation');
  t.equal(classOfRedisError(new ClientClosedError()), 'retryable');
  t.equal(classOfRedisError(new Error('what is it')), 'not-retryable');
  t.equal(classOfRedisError('text'), 'not-retryable');
  t.end();
});

t.test("the client's errors are those that it has", (t) => {
  const names = Object.keys(REDIS_CLIENT_ERRORS);
  t.strictSame(
    names.filter((name) => !(name in redis)),
    [],
  );
  t.end();
});

t.test('each sink classifies what its client throws', (t) => {
  const sqlite = new SqliteSink('x', OPTIONS);
  t.equal(sqlite.classify(Object.assign(new Error(), { errcode: 13 })), 'system');
  t.equal(sqlite.classify(new Error('what is it')), 'not-retryable');
  const postgres = new PostgresSink({ url: 'postgres://h/d', schema: 's' }, OPTIONS);
  const coded = (code: string) => postgres.classify(Object.assign(new Error(), { code }));
  t.equal(coded('23514'), 'validation');
  t.equal(coded('ECONNREFUSED'), 'retryable');
  t.equal(postgres.classify(new SinkTimeoutError()), 'retryable');
  t.equal(postgres.classify(new Error('Connection terminated unexpectedly')), 'retryable');
  t.equal(postgres.classify(new Error('Query read timeout')), 'retryable');
  t.equal(postgres.classify(new TypeError('x is not a function')), 'not-retryable');
  t.equal(
    classOfNetworkError(new AggregateError([Object.assign(new Error(), { code: 'ECONNREFUSED' })])),
    'retryable',
  );
  t.end();
});
