/** Who counts as one client. */
import t from 'tap';
import { ClientKeys, networkOf } from '../../src/limits/client-key.ts';

t.test('an address stands for a client, of IPv6 its first 64 bits', (t) => {
  const networks: Readonly<Record<string, string>> = {
    '192.0.2.7': '192.0.2.7',
    '::ffff:192.0.2.7': '192.0.2.7',
    '::ffff:c000:207': '192.0.2.7',
    '2001:db8:1:2:3:4:5:6': '2001:db8:1:2::/64',
    '2001:db8:1:2::': '2001:db8:1:2::/64',
    '2001:0DB8:0001:0002::9': '2001:db8:1:2::/64',
    '2001:db8::1': '2001:db8:0:0::/64',
    '::1': '0:0:0:0::/64',
    '::': '0:0:0:0::/64',
    'fe80::1%eth0': 'fe80:0:0:0::/64',
    '64:ff9b::192.0.2.7': '64:ff9b:0:0::/64',
    '192.0.2.7:4711': '192.0.2.7',
    '[2001:db8:1:2::9]:4711': '2001:db8:1:2::/64',
    '[2001:db8:1:2::9]': '2001:db8:1:2::/64',
    unknown: 'local',
    '': 'local',
  };
  for (const [address, network] of Object.entries(networks)) t.equal(networkOf(address), network);
  t.equal(networkOf(undefined), 'local', 'a socket without an address');
  t.end();
});

t.test('the same client has the same key, and others have others', (t) => {
  const keys = new ClientKeys();
  t.strictSame(keys.ofAddress('2001:db8::1'), keys.ofAddress('2001:db8::2'));
  const long = 'x'.repeat(4000);
  const texts = ['', 'a', 'ab', 'abc', 'abcd', 'abcde', 'ä', long, `${long}y`, 'a\0', '10.0.0.1'];
  const seen = new Set(texts.map((text) => JSON.stringify(keys.ofSubject(text))));
  t.equal(seen.size, texts.length);
  t.notOk(seen.has(JSON.stringify(keys.ofAddress('10.0.0.1'))), 'no subject is an address');
  for (const text of texts) t.strictSame(keys.ofSubject(text), keys.ofSubject(text));
  t.end();
});

t.test('who has the table of one start knows nothing of the next', (t) => {
  t.notSame(new ClientKeys().ofSubject('a'), new ClientKeys().ofSubject('a'));
  t.end();
});
