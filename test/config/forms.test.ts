/** Variables with a form of their own: hosts, folders, rates, networks, origins, certificates. */
import t from 'tap';
import { hostInUrl } from '../../src/config/host.ts';
import { loadConfig } from '../../src/config/load.ts';
import { faultsOf } from './faults-of.ts';

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
