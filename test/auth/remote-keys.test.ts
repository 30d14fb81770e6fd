/** The issuer's key set, from a real server that the test lets rotate, fail and stall; the clock is the test's. */
import type { ServerResponse } from 'node:http';
import { pino } from 'pino';
import t, { type Test } from 'tap';
import { parseKeySet } from '../../src/auth/key-set.ts';
import { loadKeySet } from '../../src/auth/load-key-set.ts';
import { RemoteKeys } from '../../src/auth/remote-keys.ts';
import { type Issuer, startIssuer } from '../helpers/issuer.ts';
import { keyPair, setKey } from '../helpers/tokens.ts';

const COOLDOWN_MS = 10_000;
const KEEP_MS = 3_600_000;
const [RSA, EC, ED] = (['RS256', 'ES256', 'EdDSA'] as const).map(keyPair);

async function setup(t: Test, keys: readonly unknown[]) {
  const issuer = await startIssuer(t, keys);
  const clock = { nowMs: 0 };
  const logged: string[] = [];
  let changes = 0;
  const remote = new RemoteKeys({
    url: issuer.url,
    refreshMs: 3_600_000,
    cooldownMs: COOLDOWN_MS,
    keepMs: KEEP_MS,
    load: loadKeySet,
    logger: pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }),
    now: () => clock.nowMs,
  });
  remote.open(() => {
    changes++;
  });
  t.teardown(() => remote.close());
  const kids = async (algorithm: 'HS256' | 'RS256' | 'ES256' | 'EdDSA', kid?: string) => {
    const found = await remote.candidates(algorithm, kid);
    return 'retryAfterSeconds' in found ? found : found.map((key) => key.kid);
  };
  return { issuer, clock, kids, logged, changes: () => changes };
}

const fail = (response: ServerResponse) => response.writeHead(500).end();

t.test('keys are found by algorithm and name, and fetched once for all', async (t) => {
  const { issuer, kids, changes } = await setup(t, [
    setKey(RSA, 'a'),
    setKey(EC, 'b'),
    setKey(ED, 'c'),
  ]);
  t.strictSame(await Promise.all([kids('RS256', 'a'), kids('ES256', 'b'), kids('EdDSA')]), [
    ['a'],
    ['b'],
    ['c'],
  ]);
  t.equal(issuer.fetches, 1);
  t.equal(changes(), 1);
  t.strictSame(await kids('HS256', 'a'), [], 'nothing in a set is a secret');
});

t.test('a key that is new is fetched, one that was withdrawn is gone with it', async (t) => {
  const { issuer, clock, kids, changes } = await setup(t, [setKey(RSA, 'old')]);
  t.strictSame(await kids('RS256', 'old'), ['old']);
  issuer.keys = [setKey(keyPair('RS256'), 'new')];
  clock.nowMs += COOLDOWN_MS;
  t.strictSame(await kids('RS256', 'new'), ['new']);
  t.strictSame(await kids('RS256', 'old'), []);
  t.equal(changes(), 2);
});

t.test('whatever tokens name, the issuer is asked once in a cool-down', async (t) => {
  const { issuer, clock, kids, changes } = await setup(t, [setKey(RSA, 'a')]);
  t.strictSame(await kids('RS256', 'a'), ['a']);
  for (let i = 0; i < 20; i++) t.strictSame(await kids('RS256', `made-up-${i}`), []);
  t.equal(issuer.fetches, 1);
  clock.nowMs += COOLDOWN_MS;
  await Promise.all(Array.from({ length: 20 }, (_, i) => kids('RS256', `made-up-${i}`)));
  t.equal(issuer.fetches, 2);
  t.equal(changes(), 1, 'the same set is no change');
});

t.test(
  'an issuer that fails is asked once in a cool-down, too, and tokens may try later',
  async (t) => {
    const { issuer, clock, kids, logged } = await setup(t, []);
    issuer.answer = fail;
    t.strictSame(await kids('RS256', 'a'), { retryAfterSeconds: 10 });
    clock.nowMs += 4_000;
    t.strictSame(await kids('RS256', 'a'), { retryAfterSeconds: 6 });
    t.equal(issuer.fetches, 1);
    t.match(logged.join(''), 'the issuer answered 500');
    issuer.answer = (response) => response.end(JSON.stringify({ keys: [setKey(RSA, 'a')] }));
    clock.nowMs += 6_000;
    t.strictSame(await kids('RS256', 'a'), ['a']);
    t.equal(issuer.fetches, 2);
  },
);

t.test('the last good set outlasts an outage, for a bounded time', async (t) => {
  const { issuer, clock, kids, changes } = await setup(t, [setKey(RSA, 'a')]);
  t.strictSame(await kids('RS256', 'a'), ['a']);
  issuer.answer = fail;
  clock.nowMs = KEEP_MS;
  t.match(await kids('RS256', 'other'), { retryAfterSeconds: 10 });
  t.strictSame(await kids('RS256', 'a'), ['a']);
  t.equal(changes(), 1);
  clock.nowMs += COOLDOWN_MS;
  await kids('RS256', 'other');
  t.match(await kids('RS256', 'a'), { retryAfterSeconds: 10 }, 'no key is in force any more');
  t.equal(changes(), 2, 'and what they verified is forgotten');
});

t.test('what is no key set says why', async (t) => {
  const { url } = await startIssuer(t);
  const served = await startIssuer(t);
  const wrong: readonly [Issuer['answer'], RegExp][] = [
    [(response) => response.writeHead(404).end('{}'), /^the issuer answered 404$/],
    [(response) => response.writeHead(302, { location: url }).end(), /redirect/],
    [(response) => response.end('x'.repeat(600_000)), /has more than 524288 bytes$/],
    [(response) => void response.socket?.destroy(), /closed|ECONNRESET/],
  ];
  for (const [answer, message] of wrong) {
    served.answer = answer;
    await t.rejects(loadKeySet(served.url), { message });
  }
  await t.rejects(loadKeySet('http://127.0.0.1:1/'), { message: /ECONNREFUSED|bad port/ });
  for (const text of ['', 'x', '[]', '{}', '{"keys":{}}', 'null']) {
    t.throws(() => parseKeySet(text), { message: /^it (?:is no JSON|has no array "keys")$/ }, text);
  }
});

t.test('of a set, only keys for signatures are taken, of kinds that are known', (t) => {
  const good = setKey(RSA, 'good');
  const { kid: _, ...nameless } = setKey(ED, 'x');
  const set = [
    good,
    { ...setKey(RSA, 'enc'), use: 'enc' },
    { ...setKey(RSA, 'ops'), key_ops: ['encrypt'] },
    { ...setKey(RSA, 'alg'), alg: 'RS512' },
    { ...setKey(RSA, 'broken'), n: '!' },
    { kty: 'oct', kid: 'secret', k: 'AAAA', alg: 'HS256' },
    { ...EC.privateKey.export({ format: 'jwk' }), kid: 'private' },
    { kty: 'EC', crv: 'P-384', kid: 'curve' },
    null,
    'text',
    nameless,
  ];
  const found = parseKeySet(JSON.stringify({ keys: set }));
  t.strictSame(
    found.map(({ algorithm, kid }) => [algorithm, kid]),
    [
      ['RS256', 'good'],
      ['EdDSA', undefined],
    ],
  );
  t.end();
});
