/** What never comes out in a line of the log, whatever brought it there; and what stays readable. */
import t from 'tap';
import { Scrubber } from '../../src/process/scrub.ts';

const SECRET = 'hunter2-hunter2';
const JWT = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl';

t.test('secrets are taken out, and JSON stays JSON', (t) => {
  const scrubber = new Scrubber();
  const lines: readonly object[] = [
    { headers: { authorization: `Bearer ${SECRET}`, host: 'here' } },
    { headers: { 'proxy-authorization': `Basic ${SECRET}`, host: 'here' } },
    { headers: { cookie: `session=${SECRET}; theme=dark`, host: 'here' } },
    { headers: { 'set-cookie': [`a=${SECRET}`, `b=${SECRET}`], host: 'here' } },
    { headers: { 'x-api-key': SECRET, host: 'here' } },
    { url: `/api/v1/products/p?access_token=${SECRET}&view=full`, host: 'here' },
    { url: `/x?sessionId=${SECRET}`, host: 'here' },
    { msg: `connect to postgres://user:${SECRET}@db.internal:5432/shop failed`, host: 'here' },
    { msg: `redis://:${SECRET}@cache failed`, host: 'here' },
    { msg: `redis://:p@${SECRET}@cache failed`, host: 'here' },
    { msg: `refused authorization: Bearer ${SECRET}`, host: 'here' },
    { err: { message: `token ${JWT} is expired`, stack: `Error: ${JWT}\n  at x` }, host: 'here' },
    { JWT_SECRET: SECRET, db_password: `with "quotes" and \\ in ${SECRET}`, host: 'here' },
    { config: { clientSecret: SECRET, refreshToken: `x${SECRET}` }, host: 'here' },
  ];
  for (const line of lines) {
    const clean = scrubber.clean(`${JSON.stringify(line)}\n`);
    t.notMatch(clean, SECRET, clean);
    t.notMatch(clean, 'eyJ', clean);
    t.match(clean, '***');
    t.match(clean, /"host":"here"\}+\n$/, 'the rest is there');
    t.doesNotThrow(() => JSON.parse(clean), clean);
  }
  t.match(
    scrubber.clean(`"postgres://user:${SECRET}@db.internal:5432/shop"`),
    '"postgres://***@db.internal:5432/shop"',
    'where it connects to can still be read',
  );
  t.end();
});

t.test('a secret of the configuration is masked wherever it stands', (t) => {
  const odd = 'a "quoted" secret \\ with\tmore';
  const scrubber = new Scrubber([odd, 'plain-secret', '']);
  t.equal(scrubber.clean(`it says ${odd}!`), 'it says ***!');
  t.equal(scrubber.clean(JSON.stringify({ msg: `it says ${odd}!` })), '{"msg":"it says ***!"}');
  t.equal(scrubber.clean('plain-secret, plain-secret'), '***, ***');
  t.end();
});

t.test('what is no secret stays as it is', (t) => {
  const scrubber = new Scrubber();
  for (const line of [
    '{"level":30,"msg":"ready on http://127.0.0.1:8080"}',
    '{"url":"/api/v1/products/user@host?view=full","msg":"http://host/a@b"}',
    '{"reqId":"3f9c2ab14d-1z","product_id":"token-ring","seq":17}',
    '{"msg":"log: 3 lines were dropped here, because nobody took them"}',
  ]) {
    t.equal(scrubber.clean(line), line);
  }
  t.end();
});

t.test('a long line without secrets takes no time that grows faster than it', (t) => {
  const scrubber = new Scrubber(['secret-of-the-configuration']);
  for (const part of ['://', 'token', '"token":"', 'x:', 'eyJaaaaaaa.', 'Bearer ', '\\"', '@']) {
    const line = part.repeat(200_000 / part.length);
    t.type(scrubber.clean(line), 'string', 'it comes to its end');
  }
  t.end();
});
