/** Who is let in, as far as the configuration decides it: hosts, secrets, key sets. */
import t from 'tap';
import { isAuthenticated } from '../../src/config/access.ts';
import { isLoopback } from '../../src/config/host.ts';
import { loadConfig } from '../../src/config/load.ts';
import { faultsOf } from './faults-of.ts';

const SECRET = 's'.repeat(32);
const SET = {
  JWKS_URL: 'https://issuer.example/keys',
  JWT_ISSUER: 'https://issuer.example',
  JWT_AUDIENCE: 'products',
};

t.test('nobody else is served without authentication, unless that is said in words', (t) => {
  for (const HOST of ['0.0.0.0', '::', '[::]', '192.168.1.7', 'db-1.example.com', '128.0.0.1']) {
    t.match(
      faultsOf({ HOST }),
      [/^HOST=\S+ serves other machines, and nobody would need a token/],
      HOST,
    );
    t.strictSame(faultsOf({ HOST, ALLOW_ANONYMOUS: 'true' }), [], HOST);
    t.strictSame(faultsOf({ HOST, JWT_SECRET: SECRET }), [], HOST);
    t.strictSame(faultsOf({ HOST, JWT_PUBLIC_KEY: '/run/key.pem' }), [], HOST);
    t.strictSame(faultsOf({ HOST, ...SET }), [], HOST);
  }
  for (const HOST of ['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'localhost']) {
    t.strictSame(faultsOf({ HOST }), [], HOST);
  }
  t.end();
});

t.test('the same of administration, where that has a listener of its own', (t) => {
  const ADMIN_PORT = '9090';
  const ADMIN_HOST = '0.0.0.0';
  t.strictSame(faultsOf({ ADMIN_PORT }), []);
  t.match(faultsOf({ ADMIN_PORT, ADMIN_HOST }), [
    /^ADMIN_HOST=0.0.0.0 lets other machines administer/,
  ]);
  t.strictSame(faultsOf({ ADMIN_PORT, ADMIN_HOST, ALLOW_ANONYMOUS: 'true' }), []);
  t.strictSame(faultsOf({ ADMIN_PORT, ADMIN_HOST, JWT_SECRET: SECRET }), []);
  t.strictSame(faultsOf({ ADMIN_HOST: '127.0.0.2' }), [
    'ADMIN_HOST=127.0.0.2 goes with ADMIN_PORT, which is not set',
  ]);
  t.end();
});

t.test('loopback is what only this machine reaches, also as IPv4 in IPv6', (t) => {
  for (const host of [
    '127.0.0.1',
    '127.255.0.9',
    '::1',
    '::ffff:127.0.0.1',
    'localhost',
    'LOCALHOST',
  ]) {
    t.ok(isLoopback(host), host);
  }
  for (const host of [
    '',
    '0.0.0.0',
    '::',
    '127.0.0.1.example.com',
    '127.evil',
    '::ffff:10.0.0.1',
    '::2',
  ]) {
    t.notOk(isLoopback(host), host);
  }
  t.end();
});

t.test('a secret for tokens has at least 32 bytes, however many characters they are', (t) => {
  const fault = 'JWT_SECRET has 31 bytes and must have at least 32';
  t.strictSame(faultsOf({ JWT_SECRET: 'x'.repeat(31) }), [fault]);
  t.strictSame(faultsOf({ JWT_SECRET: 'x'.repeat(32) }), []);
  t.strictSame(faultsOf({ JWT_SECRET: 'ü'.repeat(16) }), []);
  t.end();
});

t.test('keys come from one place, and authentication is on where there is one', (t) => {
  t.notOk(isAuthenticated(loadConfig({})));
  for (const env of [{ JWT_SECRET: SECRET }, { JWT_PUBLIC_KEY: 'key.pem' }, SET]) {
    t.ok(isAuthenticated(loadConfig(env)));
  }
  t.strictSame(faultsOf({ JWT_SECRET: SECRET, JWT_PUBLIC_KEY: 'key.pem', ...SET }), [
    'JWT_SECRET and JWT_PUBLIC_KEY and JWKS_URL exclude each other: set one',
  ]);
  t.end();
});

t.test('a key set comes from this machine or by https, and names issuer and audience', (t) => {
  for (const JWKS_URL of [
    'https://a.example:8443/x?y',
    'http://127.0.0.1:1/x',
    'http://[::1]/x',
    'http://localhost/',
  ]) {
    t.strictSame(faultsOf({ ...SET, JWKS_URL }), [], JWKS_URL);
  }
  const wrong = {
    'http://issuer.example/keys': 'JWKS_URL must begin with https:// unless it is on this machine',
    'file:///etc/keys': 'JWKS_URL must begin with https:// unless it is on this machine',
    'issuer.example/keys': 'JWKS_URL is no URL',
    'https://user:pass@issuer.example/': 'JWKS_URL must not have a user or a password in it',
  };
  for (const [JWKS_URL, fault] of Object.entries(wrong)) {
    t.strictSame(faultsOf({ ...SET, JWKS_URL }), [fault]);
  }
  for (const missing of ['JWT_ISSUER', 'JWT_AUDIENCE']) {
    t.match(faultsOf({ ...SET, [missing]: '' }), [/^JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE/]);
  }
  t.end();
});
