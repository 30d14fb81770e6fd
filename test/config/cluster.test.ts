/** Which variables of a cluster go together. */
import t from 'tap';
import { loadConfig } from '../../src/config/load.ts';
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
  t.strictSame(faultsOf({ LOG: 'jetstream', CLUSTER: 'shop', NATS_URL, SINKS: 'sqlite:p.db' }), [
    'SINKS is for LOG=file only',
  ]);
  t.match(faultsOf({ LOG: 'jetstream', CLUSTER: 'Shop', NATS_URL: 'http://a' }), [
    /^CLUSTER="Shop" must be/,
    /^NATS_URL=\*\*\* must be/,
  ]);
  t.end();
});
