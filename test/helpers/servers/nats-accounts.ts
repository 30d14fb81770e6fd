/**
 * An operator of NATS with one account that may use JetStream, and a user of it: what `nsc` would write, as
 * the server reads it (JWTs of nkeys). Tests only.
 */
import { createHash } from 'node:crypto';
import { nkeys } from '@nats-io/transport-node';

type KeyPair = ReturnType<typeof nkeys.createUser>;

const NO_LIMITS = { subs: -1, data: -1, payload: -1 };
const JETSTREAM = { mem_storage: -1, disk_storage: -1, streams: -1, consumer: -1 };
const ACCOUNT = { imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1, ...NO_LIMITS };

export interface NatsAccounts {
  /** Lines of the server's configuration. */
  readonly config: string;
  /** The user's file of credentials. */
  readonly creds: string;
}

export function natsAccounts(): NatsAccounts {
  const operator = nkeys.createOperator();
  const system = nkeys.createAccount();
  const account = nkeys.createAccount();
  const user = nkeys.createUser();
  const operatorJwt = signed(operator, operator, 'O', {
    type: 'operator',
    system_account: system.getPublicKey(),
  });
  const systemJwt = signed(operator, system, 'SYS', { type: 'account', limits: ACCOUNT });
  const limits = { ...ACCOUNT, ...JETSTREAM };
  const accountJwt = signed(operator, account, 'A', { type: 'account', limits });
  const userJwt = signed(account, user, 'U', { type: 'user', ...NO_LIMITS });
  const seed = new TextDecoder().decode(user.getSeed());
  return {
    config: [
      `operator: ${operatorJwt}`,
      'resolver: MEMORY',
      'resolver_preload: {',
      `  ${system.getPublicKey()}: ${systemJwt}`,
      `  ${account.getPublicKey()}: ${accountJwt}`,
      '}',
    ].join('\n'),
    creds: [
      ...['-----BEGIN NATS USER JWT-----', userJwt, '------END NATS USER JWT------', ''],
      ...['-----BEGIN USER NKEY SEED-----', seed, '------END USER NKEY SEED------', ''],
    ].join('\n'),
  };
}

function signed(issuer: KeyPair, subject: KeyPair, name: string, nats: object): string {
  const claims = {
    iat: Math.floor(Date.now() / 1000),
    iss: issuer.getPublicKey(),
    sub: subject.getPublicKey(),
    name,
    nats: { version: 2, ...nats },
  };
  const id = createHash('sha256').update(JSON.stringify(claims)).digest('hex').toUpperCase();
  const head = part({ typ: 'JWT', alg: 'ed25519-nkey' });
  const text = `${head}.${part({ jti: id, ...claims })}`;
  const signature = issuer.sign(new TextEncoder().encode(text));
  return `${text}.${Buffer.from(signature).toString('base64url')}`;
}

function part(content: object): string {
  return Buffer.from(JSON.stringify(content)).toString('base64url');
}
