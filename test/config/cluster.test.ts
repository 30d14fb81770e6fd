/** Which variables of a cluster go together. */
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
import { natsSettings } from '../../src/config/nats.ts';
import { faultsOf } from './faults-of.ts';

const NATS_URL = 'nats://user:password@a:4222,nats://b:4222';

t.test('a cluster needs its name and its servers', (t) => {
  const config = loadConfig({ LOG: 'jetstream', CLUSTER: 'shop-1', NATS_URL });
  t.match(config, { log: 'jetstream', cluster: 'shop-1', natsUrl: NATS_URL });
  const missing = ['LOG=jetstream needs CLUSTER and NATS_URL'];
  t.strictSame(faultsOf({ LOG: 'jetstream' }), missing);
  t.strictSame(faultsOf({ LOG: 'jetstream', CLUSTER: 'shop' }), missing);
  t.strictSame(faultsOf({ CLUSTER: 'shop', NATS_URL }), [
    'CLUSTER and NATS_URL are for LOG=jetstream only',
  ]);
  t.strictSame(faultsOf({ NATS_TLS_CA: 'ca.crt' }), ['NATS_TLS_CA is for LOG=jetstream only']);
  t.match(faultsOf({ LOG: 'jetstream', CLUSTER: 'Shop', NATS_URL: 'http://a' }), [
    /^CLUSTER="Shop" must be/,
    /^NATS_URL=\*\*\* must be/,
  ]);
  const postgres = { SINKS: 'postgres://a/b', HISTORY: '90d', HISTORY_IN: 'postgres' };
  loadConfig({ LOG: 'jetstream', CLUSTER: 'shop', NATS_URL, ...postgres });
  t.end();
});

const SHOP = { LOG: 'jetstream', CLUSTER: 'shop' };
const SEED = `SU${'A'.repeat(56)}`;

t.test('there is one way to log in to NATS', (t) => {
  const login = (env: Readonly<Record<string, string>>) =>
    natsSettings(loadConfig({ ...SHOP, NATS_URL: 'nats://a:4222', ...env })).login;
  t.strictSame(login({}), { by: 'nothing' });
  const password = { by: 'password', user: 'us er', password: 'p@ss' };
  t.strictSame(login({ NATS_URL: 'nats://a,nats://us%20er:p%40ss@b' }), password);
  t.strictSame(login({ NATS_USER: 'us er', NATS_PASSWORD: 'p@ss' }), password);
  t.strictSame(login({ NATS_URL: 'nats://t0ken@a' }), { by: 'token', token: 't0ken' });
  t.strictSame(login({ NATS_TOKEN: 't0ken' }), { by: 'token', token: 't0ken' });
  t.strictSame(login({ NATS_CREDS: 'a.creds' }), { by: 'creds', path: 'a.creds' });
  t.strictSame(login({ NATS_NKEY_SEED: SEED }), { by: 'nkey', seed: SEED });

  const faults = (env: Readonly<Record<string, string>>) => faultsOf({ ...SHOP, NATS_URL, ...env });
  t.strictSame(faults({ NATS_TOKEN: 't0ken' }), [
    'the user in NATS_URL and NATS_TOKEN exclude each other: set one',
  ]);
  t.strictSame(faults({ NATS_URL: 'nats://a', NATS_CREDS: 'a.creds', NATS_NKEY_SEED: SEED }), [
    'NATS_CREDS and NATS_NKEY_SEED exclude each other: set one',
  ]);
  t.strictSame(faults({ NATS_USER: 'user' }), [
    'NATS_USER and NATS_PASSWORD go together: set both, or neither',
  ]);
  t.match(faults({ NATS_NKEY_SEED: 'SECRET' }), [/^NATS_NKEY_SEED=\*\*\* must be/]);
  t.strictSame(faults({ NATS_URL: 'nats://a:b:c' }), ['NATS_URL has an address that is none']);
  t.end();
});

t.test('TLS to NATS where one variable asks for it', (t) => {
  const tls = (env: Readonly<Record<string, string>>) =>
    natsSettings(loadConfig({ ...SHOP, NATS_URL, ...env })).tls;
  t.equal(tls({}), undefined);
  t.match(tls({ NATS_URL: 'tls://a:4222,tls://b:4222' }), {});
  t.match(tls({ NATS_TLS_CA: 'ca.crt' }), { caPath: 'ca.crt' });
  const pair = { NATS_TLS_CERT: 'a.crt', NATS_TLS_KEY: 'a.key' };
  t.match(tls(pair), { certPath: 'a.crt', keyPath: 'a.key' });
  t.strictSame(faultsOf({ ...SHOP, NATS_URL, NATS_TLS_KEY: 'a.key' }), [
    'NATS_TLS_CERT and NATS_TLS_KEY go together: set both, or neither',
  ]);
  t.end();
});
