/** Authentication of a whole service: keys that rotate, an issuer that is down, keys that are none. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { polled } from '../helpers/bounded.ts';
import { RawClient } from '../helpers/clients/raw-client.ts';
import { tempDir } from '../helpers/disks/temp-dir.ts';
import { startIssuer } from '../helpers/issuer.ts';
import { startReadyService } from '../helpers/processes/service-in-process.ts';
import { ServiceProcess } from '../helpers/processes/service-process.ts';
import { claims, keyPair, pairToken, SECRET, secretToken, setKey } from '../helpers/tokens.ts';

const ROTATION_MS_MAX = 60_000;
const ISSUED = { iss: 'https://issuer.example', aud: 'products', roles: ['writer'] };

async function startWithKeySet(t: Test, url: string) {
  const { port } = await startReadyService(t, {
    DATA_DIR: tempDir(t),
    JWKS_URL: url,
    JWKS_REFRESH: '1s',
    JWT_ISSUER: 'https://issuer.example',
    JWT_AUDIENCE: 'products',
  });
  return async (token: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/products/none`, { headers });
    await answer.arrayBuffer();
    return answer;
  };
}

t.test('a key that the issuer withdraws is taken no more, its successor is', async (t) => {
  const [old, next] = [keyPair('ES256'), keyPair('EdDSA')];
  const issuer = await startIssuer(t, [setKey(old, 'old')]);
  const ask = await startWithKeySet(t, issuer.url);
  const [oldToken, nextToken] = await Promise.all([
    pairToken(claims(ISSUED), old, 'old'),
    pairToken(claims(ISSUED), next, 'next'),
  ]);
  t.equal((await ask(oldToken)).status, 404, 'let in, and the product is not there');
  t.equal((await ask(oldToken)).status, 404, 'known by now');
  t.equal((await ask(nextToken)).status, 401);
  issuer.keys = [setKey(next, 'next')];
  const isGone = async () => ((await ask(oldToken)).status === 401 ? true : undefined);
  await polled(isGone, ROTATION_MS_MAX, 'the old key to be gone');
  t.equal((await ask(nextToken)).status, 404);
});

t.test('an issuer that is down from the start keeps nobody from starting', async (t) => {
  const issuer = await startIssuer(t);
  issuer.answer = (response) => response.writeHead(503).end();
  const ask = await startWithKeySet(t, issuer.url);
  const key = keyPair('RS256');
  const token = await pairToken(claims(ISSUED), key, 'a');
  const refused = await ask(token);
  t.equal(refused.status, 503);
  t.match(refused.headers.get('retry-after'), /^[1-9]\d?$/);
  issuer.keys = [setKey(key, 'a')];
  issuer.answer = (response) => response.end(JSON.stringify({ keys: issuer.keys }));
  const isIn = async () => ((await ask(token)).status === 404 ? true : undefined);
  await polled(isIn, ROTATION_MS_MAX, 'the key set to be fetched');
});

t.test('who waits to be asked for a body is refused without being asked', async (t) => {
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), JWT_SECRET: SECRET });
  const ask = async (authorization: string) => {
    const client = await RawClient.connect(port);
    t.teardown(() => client.socket.destroy());
    client.send(
      `POST /api/v1/events/batch HTTP/1.1\r\nhost: a\r\n${authorization}expect: 100-continue\r\n` +
        'content-type: application/x-ndjson\r\ncontent-length: 50\r\n\r\n',
    );
    await client.until(/^HTTP\/1\.1 \d{3}.*\r\n\r\n/s);
    return client;
  };
  t.match((await ask('')).received, /^HTTP\/1\.1 401 /);
  const reader = await secretToken(claims({ roles: ['reader'] }));
  t.match((await ask(`authorization: Bearer ${reader}\r\n`)).received, /^HTTP\/1\.1 403 /);
  const writer = await secretToken(claims({ roles: ['writer'] }));
  const client = await ask(`authorization: Bearer ${writer}\r\n`);
  t.match(client.received, /^HTTP\/1\.1 100 /);
  client.send('{"product_id":"a","price":1,"stock":1}            ');
  await client.until(/HTTP\/1\.1 202 /);
});

t.test(
  'a key that is none stops the start in one line, and the check of the configuration',
  async (t) => {
    const cwd = tempDir(t);
    writeFileSync(join(cwd, 'none.pem'), 'nothing');
    const wrong: readonly [string, string][] = [
      ['missing.pem', `JWT_PUBLIC_KEY="missing.pem" can't be read (ENOENT)`],
      ['none.pem', 'JWT_PUBLIC_KEY: the key is no public key in PEM'],
    ];
    for (const [JWT_PUBLIC_KEY, line] of wrong) {
      for (const args of [[], ['--check-config']]) {
        const service = ServiceProcess.spawn(t, { cwd, args, env: { JWT_PUBLIC_KEY } });
        t.strictSame(await service.exit(), { code: 2, signal: null });
        t.equal(service.stderr, `product-service: ${line}\n`);
        t.equal(service.stdout, '');
      }
    }
  },
);

t.test('a public key in a file takes the tokens of its private one', async (t) => {
  const pair = keyPair('RS256');
  const path = join(tempDir(t), 'key.pem');
  writeFileSync(path, pair.pem);
  const { port } = await startReadyService(t, { DATA_DIR: tempDir(t), JWT_PUBLIC_KEY: path });
  const headers = {
    authorization: `Bearer ${await pairToken(claims({ roles: ['reader'] }), pair)}`,
  };
  const answer = await fetch(`http://127.0.0.1:${port}/api/v1/products?limit=1`, { headers });
  t.strictSame(await answer.json(), { products: [], next: null });
});
