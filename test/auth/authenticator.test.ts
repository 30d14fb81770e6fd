/** The verified tokens that are kept: for how long, how many, and not over a change of keys. */
import t from 'tap';
import { Authenticator } from '../../src/auth/authenticator.ts';
import { FixedKeys, secretKey, type TokenKey, type TokenKeys } from '../../src/auth/token-keys.ts';
import { claims, SECRET, secretToken } from '../helpers/tokens.ts';

const RULES = { issuer: undefined, audience: undefined, rolesClaim: 'roles', clockSkewMs: 0 };

function authenticator(keys: TokenKeys = new FixedKeys([secretKey(SECRET)])): Authenticator {
  return new Authenticator(keys, RULES);
}

/** Keys that the test changes, and whose answer it holds back. */
class HeldKeys implements TokenKeys {
  onChange: () => void = () => undefined;
  answer = Promise.resolve<readonly TokenKey[]>([secretKey(SECRET)]);
  asked = 0;

  open(onChange: () => void): void {
    this.onChange = onChange;
  }
  candidates(): Promise<readonly TokenKey[]> {
    this.asked++;
    return this.answer;
  }
  close(): void {}
}

t.test('a token is verified once and then known, by its whole header', async (t) => {
  const keys = new HeldKeys();
  const auth = authenticator(keys);
  const header = `Bearer ${await secretToken(claims({ roles: ['reader'] }))}`;
  t.equal(auth.known(header), undefined);
  const identity = await auth.identify(header);
  t.match(identity, { subject: 'repricer-7', role: 'reader' });
  t.equal(auth.known(header), identity);
  t.equal(auth.known(header.slice(0, -1)), undefined);
  t.equal(auth.known(undefined), undefined);
  t.equal(keys.asked, 1);
});

t.test('what was refused is not kept', async (t) => {
  const auth = authenticator();
  const header = `Bearer ${await secretToken(claims(), 'x'.repeat(32))}`;
  t.match(await auth.identify(header), { code: 'token-invalid' });
  t.equal(auth.known(header), undefined);
});

t.test('it is known until it expires', async (t) => {
  const auth = authenticator();
  const exp = Math.floor(Date.now() / 1000) + 100;
  const header = `Bearer ${await secretToken(claims({ exp }))}`;
  await auth.identify(header);
  const clock = t.intercept(Date, 'now', { value: () => exp * 1000 - 1 });
  t.ok(auth.known(header));
  clock.restore();
  t.intercept(Date, 'now', { value: () => exp * 1000 });
  t.equal(auth.known(header), undefined);
});

t.test('a change of keys forgets all, also what was being verified meanwhile', async (t) => {
  const keys = new HeldKeys();
  const auth = authenticator(keys);
  const first = `Bearer ${await secretToken(claims({ jti: '1' }))}`;
  const second = `Bearer ${await secretToken(claims({ jti: '2' }))}`;
  await auth.identify(first);
  const { promise, resolve } = Promise.withResolvers<readonly TokenKey[]>();
  keys.answer = promise;
  const pending = auth.identify(second);
  keys.onChange();
  resolve([secretKey(SECRET)]);
  t.match(await pending, { subject: 'repricer-7' });
  t.equal(auth.known(first), undefined);
  t.equal(auth.known(second), undefined);
});

t.test('so many are kept, and the oldest makes room', async (t) => {
  const auth = authenticator();
  const headers: string[] = [];
  for (let i = 0; i <= 4096; i++) {
    const header = `Bearer ${await secretToken(claims({ jti: String(i) }))}`;
    headers.push(header);
    await auth.identify(header);
  }
  t.equal(auth.known(headers[0]), undefined);
  t.equal(headers.filter((header) => auth.known(header) !== undefined).length, 4096);
});

t.test('Authorization is Bearer and one token, in any case and with some blanks', async (t) => {
  const auth = authenticator();
  const token = await secretToken(claims());
  for (const header of [`Bearer ${token}`, `bearer ${token}`, `BEARER   ${token} `]) {
    t.match(await auth.identify(header), { subject: 'repricer-7' }, header.slice(0, 12));
  }
  t.strictSame(await auth.identify(undefined), { code: 'token-missing' });
  const wrong = [
    '',
    'Bearer',
    'Bearer ',
    token,
    `Basic ${token}`,
    `Bearer ${token} x`,
    `Bearer,${token}`,
    `Bearer ${'a'.repeat(8192)}`,
  ];
  for (const header of wrong) {
    const detail = 'Authorization must be Bearer and one token, of at most 8192 characters.';
    t.strictSame(
      await auth.identify(header),
      { code: 'token-invalid', detail },
      header.slice(0, 20),
    );
  }
});
