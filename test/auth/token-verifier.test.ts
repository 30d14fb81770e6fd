/** Which tokens are taken, and what is said of those that are not. */
import { Buffer } from 'node:buffer';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { SignJWT } from 'jose';
import t from 'tap';
import type { Identity, IdentityFault } from '../../src/auth/identity.ts';
import { FixedKeys, publicKey, secretKey, type TokenKey } from '../../src/auth/token-keys.ts';
import { type TokenRules, TokenVerifier } from '../../src/auth/token-verifier.ts';
import { claims, keyPair, pairToken, rawToken, SECRET, secretToken } from '../helpers/tokens.ts';

const RULES: TokenRules = {
  issuer: undefined,
  audience: undefined,
  rolesClaim: 'roles',
  clockSkewMs: 30_000,
};
const STRICT = { ...RULES, issuer: 'https://issuer.example', audience: 'products' };

const PAIRS = (['RS256', 'ES256', 'EdDSA'] as const).map(keyPair);

const nowSeconds = () => Math.floor(Date.now() / 1000);

function verify(
  token: string,
  rules: Partial<TokenRules> = {},
  keys: readonly TokenKey[] = [secretKey(SECRET)],
): Promise<Identity | IdentityFault> {
  return new TokenVerifier(new FixedKeys(keys), { ...RULES, ...rules }).verify(token);
}

t.test('a token with its secret names subject, role and how long it holds', async (t) => {
  const exp = nowSeconds() + 100;
  const token = await secretToken({ sub: 'repricer-7', exp, roles: ['reader', 'writer'] });
  t.strictSame(await verify(token), {
    subject: 'repricer-7',
    role: 'writer',
    untilMs: exp * 1000 + 30_000,
  });
});

t.test(
  'each kind of public key takes the tokens of its own private key, and no other',
  async (t) => {
    for (const pair of PAIRS) {
      const keys = [publicKey(pair.pem)];
      const token = await pairToken(claims(), pair);
      t.match(
        await verify(token, {}, keys),
        { subject: 'repricer-7', role: undefined },
        pair.algorithm,
      );
      const forged = await pairToken(claims(), keyPair(pair.algorithm));
      t.match(
        await verify(forged, {}, keys),
        { code: 'token-invalid' },
        `${pair.algorithm}, forged`,
      );
      for (const other of PAIRS) {
        if (other === pair) continue;
        t.match(await verify(token, {}, [publicKey(other.pem)]), { code: 'token-invalid' });
      }
    }
    const [, , ed25519] = PAIRS;
    const named = await new SignJWT(claims())
      .setProtectedHeader({ alg: 'Ed25519' })
      .sign(ed25519.privateKey);
    t.match(await verify(named, {}, [publicKey(ed25519.pem)]), { subject: 'repricer-7' });
  },
);

t.test('a public key is never taken for a secret', async (t) => {
  for (const { pem } of PAIRS) {
    const [head, payload] = rawToken({ alg: 'HS256' }, claims()).split('.');
    const signature = createHmac('sha256', pem).update(`${head}.${payload}`).digest('base64url');
    const fault = await verify(`${head}.${payload}.${signature}`, {}, [publicKey(pem)]);
    t.match(fault, {
      code: 'token-invalid',
      detail: 'It is not signed by a key that is known here.',
    });
  }
});

t.test('what is no token is said to be none', async (t) => {
  const none = 'It is no signed JSON Web Token.';
  for (const text of ['a', 'a.b', 'a.b.c', '..', 'a.b.c.d.e', 'e30.e30.', '!.!.!']) {
    const { detail } = (await verify(text)) as IdentityFault;
    t.match(detail, /^It is no signed JSON Web Token|^Its algorithm is not taken/, text);
  }
  t.match(await verify(rawToken('text', {})), { detail: none });
  const valid = await secretToken(claims());
  t.match(await verify(`${valid}x`), { code: 'token-invalid' });
  t.match(await verify(valid.slice(0, -8)), { code: 'token-invalid' });
});

t.test('the header chooses neither algorithm nor key', async (t) => {
  for (const alg of ['none', 'None', 'HS512', 'RS512', 'PS256', '', 7, null, ['HS256']]) {
    const fault = await verify(rawToken({ alg }, claims()));
    t.match(fault, { code: 'token-invalid' }, JSON.stringify(alg));
  }
  const [, pair] = PAIRS;
  const jwk = pair.publicKey.export({ format: 'jwk' });
  for (const extra of [
    { jwk },
    { jku: 'https://evil.example/keys' },
    { x5u: 'https://evil.example' },
  ]) {
    const token = await new SignJWT(claims())
      .setProtectedHeader({ alg: 'ES256', ...extra })
      .sign(pair.privateKey);
    t.match(await verify(token, {}, [publicKey(keyPair('ES256').pem)]), { code: 'token-invalid' });
  }
  const critical = await new SignJWT(claims())
    .setProtectedHeader({ alg: 'HS256', crit: ['exp'], exp: 1 })
    .sign(Buffer.from(SECRET), { crit: { exp: true } });
  t.match(await verify(critical), { code: 'token-invalid' }, 'what is critical and unknown');
});

t.test('each claim that is asked for must be there, and as it must be', async (t) => {
  const good = { iss: 'https://issuer.example', aud: ['shop', 'products'] };
  t.match(await verify(await secretToken(claims(good)), STRICT), { subject: 'repricer-7' });
  t.match(await verify(await secretToken(claims({ ...good, aud: 'products' })), STRICT), {
    subject: 'repricer-7',
  });
  const wrong: readonly [Record<string, unknown>, string][] = [
    [{ iss: undefined }, 'It has no iss.'],
    [{ aud: undefined }, 'It has no aud.'],
    [{ exp: undefined }, 'It has no exp.'],
    [{ sub: undefined }, 'It has no sub.'],
    [{ iss: 'https://issuer.example/' }, 'It is by another issuer.'],
    [{ aud: 'product' }, 'It is for another audience.'],
    [{ aud: [] }, 'It is for another audience.'],
    [{ exp: String(nowSeconds() + 100) }, 'Its exp is not as it must be.'],
    [{ exp: nowSeconds() - 31 }, 'It has expired.'],
    [{ nbf: nowSeconds() + 60 }, 'It is not valid yet.'],
    [{ nbf: 'soon' }, 'Its nbf is not as it must be.'],
    [{ sub: '' }, 'Its sub is no text of 1 to 256 characters.'],
    [{ sub: 7 }, 'Its sub is no text of 1 to 256 characters.'],
    [{ sub: 's'.repeat(257) }, 'Its sub is no text of 1 to 256 characters.'],
  ];
  for (const [extra, detail] of wrong) {
    const token = await secretToken({ ...claims(good), ...extra });
    t.strictSame(
      await verify(token, STRICT),
      { code: 'token-invalid', detail },
      JSON.stringify(extra),
    );
  }
  for (const [, detail] of wrong) t.match(detail, /^[ !#-[\]-~]+$/, 'fit for WWW-Authenticate');
});

t.test("the issuer's clock may be off by so much and no more", async (t) => {
  const expired = await secretToken(claims({ exp: nowSeconds() - 20 }));
  const early = await secretToken(claims({ nbf: nowSeconds() + 20 }));
  for (const token of [expired, early]) {
    t.match(await verify(token), { subject: 'repricer-7' });
    t.match(await verify(token, { clockSkewMs: 5_000 }), { code: 'token-invalid' });
  }
});

t.test(
  'keys that are too weak, of other kinds, private or none are refused with the reason',
  (t) => {
    const pem = (key: ReturnType<typeof generateKeyPairSync>['publicKey']) =>
      (key as unknown as { export(form: object): string }).export({ type: 'spki', format: 'pem' });
    const weak = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
    const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey;
    const x25519 = generateKeyPairSync('x25519').publicKey;
    for (const key of [weak, p384, x25519]) {
      t.throws(() => publicKey(pem(key)), { message: /^is none of RSA \(from 2048 bits\)/ });
    }
    const [pair] = PAIRS;
    const secret = pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    t.throws(() => publicKey(secret), { message: 'is a private one; give the public one' });
    t.throws(() => publicKey('-----BEGIN PUBLIC KEY-----'), { message: 'is no public key in PEM' });
    t.equal(publicKey(pair.pem.replaceAll('\n', '\\n')).algorithm, 'RS256', 'on one line');
    t.end();
  },
);
