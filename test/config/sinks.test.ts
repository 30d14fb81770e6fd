/** Which databases SINKS names, and what is refused of it, in one line without a secret. */
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { shownConfig } from '../../src/config/shown.ts';
import { historyDatabase, parseSinks, sinksOf } from '../../src/config/sinks.ts';

t.test('several, by commas or blanks, numbered by kind', (t) => {
  const config = loadConfig({ SINKS: 'sqlite:a.db, sqlite:/b c.db'.replace(' c', '%c') });
  t.strictSame(sinksOf(config), [
    { name: 'sqlite', target: { kind: 'sqlite', path: 'a.db' } },
    { name: 'sqlite-2', target: { kind: 'sqlite', path: '/b%c.db' } },
  ]);
  t.strictSame(sinksOf(loadConfig({})), []);
  t.strictSame(sinksOf(loadConfig({ SINKS: '' })), []);
  t.end();
});

t.test('a schema is taken out of the URL', (t) => {
  t.strictSame(parseSinks('postgres://u:p%2C@h:1/db?sslmode=require&schema=feed'), [
    {
      name: 'postgres',
      target: { kind: 'postgres', url: 'postgres://u:p%2C@h:1/db?sslmode=require', schema: 'feed' },
    },
  ]);
  t.match(parseSinks('postgresql://h/db'), [{ target: { schema: 'public' } }]);
  t.match(parseSinks(`postgres://h/db?schema=${'x'.repeat(64)}`), /schema/);
  t.strictSame(parseSinks('rediss://h:1/2?prefix=shop%3A redis://h'), [
    { name: 'redis', target: { kind: 'redis', url: 'rediss://h:1/2', prefix: 'shop:' } },
    { name: 'redis-2', target: { kind: 'redis', url: 'redis://h', prefix: 'product:' } },
  ]);
  t.match(parseSinks('redis://h?prefix='), /prefix/);
  for (const nested of [
    'redis://h?prefix=product%3Aeu%3A',
    'redis://h?prefix=p',
    'redis://u:p@h',
  ]) {
    t.match(parseSinks(`redis://h, ${nested}`), /begins with the other's \(number 2 of 2\)/);
  }
  t.equal(parseSinks('redis://h, redis://h/1?prefix=p, redis://h?prefix=q').length, 3);
  t.end();
});

t.test('what names no database is refused', (t) => {
  for (const text of [
    'sqlite:',
    'sqlite::memory:',
    'mysql://secret@host/db',
    'a.db',
    'SQLITE:a.db',
  ]) {
    const found = parseSinks(text);
    t.type(found, 'string', text);
    t.notMatch(found, /secret/);
    t.throws(() => loadConfig({ SINKS: text }), { message: /^SINKS / });
  }
  t.match(parseSinks('sqlite:a.db,sqlite:a.db'), /twice/);
  t.end();
});

t.test('SINKS is never shown: it may hold a password', (t) => {
  t.equal(shownConfig(loadConfig({ SINKS: 'sqlite:a.db' })).SINKS, '***');
  t.end();
});

t.test('the first pause is at most the longest one', (t) => {
  t.throws(() => loadConfig({ INITIAL_RETRY_DELAY: '2s', MAX_RETRY_DELAY: '1s' }), {
    message: 'INITIAL_RETRY_DELAY=2s must be at most MAX_RETRY_DELAY=1s',
  });
  t.end();
});

t.test('HISTORY_IN=postgres means the first PostgreSQL of SINKS', (t) => {
  const env = {
    HISTORY_IN: 'postgres',
    SINKS: 'sqlite:a.db,postgres://h/a?schema=s,postgres://h/b',
  };
  t.match(historyDatabase(loadConfig(env)), { url: 'postgres://h/a', schema: 's' });
  t.equal(historyDatabase(loadConfig({ ...env, HISTORY_IN: 'file' })), undefined);
  for (const SINKS of [undefined, 'sqlite:a.db,redis://h']) {
    t.throws(() => loadConfig({ HISTORY_IN: 'postgres', SINKS }), {
      message:
        'HISTORY_IN=postgres needs a postgres:// in SINKS, in whose database the history is kept',
    });
  }
  t.throws(() => loadConfig({ ...env, MAX_CONNECTIONS: '2' }), {
    message: 'MAX_CONNECTIONS=2 must be at least 3 with HISTORY_IN=postgres',
  });
  t.end();
});
