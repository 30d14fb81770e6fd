/** Which addresses a list of networks has. */
import t from 'tap';
import { isIn, parseNetworks } from '../../src/config/networks.ts';

t.test('an address is in a network of its own family, or written as the other', (t) => {
  const networks = parseNetworks('10.0.0.0/8, 192.0.2.7, fd00::/8,::1');
  if (networks === undefined) throw new Error('expected a list');
  for (const address of [
    '10.0.0.1',
    '10.255.255.255',
    '192.0.2.7',
    '::ffff:10.1.2.3',
    'fd12::9',
    '::1',
  ]) {
    t.ok(isIn(networks, address), address);
  }
  for (const address of [
    '11.0.0.1',
    '192.0.2.8',
    '::ffff:11.1.2.3',
    'fe00::1',
    '::2',
    '',
    'x',
    undefined,
  ]) {
    t.notOk(isIn(networks, address), String(address));
  }
  t.end();
});
