/** Variables of how NATS is reached, named as its clients name them. Pure data, any thread. */
import { Type } from '@sinclair/typebox';
import { text } from '../variable.ts';

const PATH = {
  defaultText: '',
  pattern: '^[^\\u0000-\\u001f]{1,4096}$',
  allowedText: 'a path',
} as const;

export const NATS = {
  natsUrl: Type.Optional(
    text({
      env: 'NATS_URL',
      defaultText: '',
      pattern: '^(nats|tls)://[^\\s,]+(,(nats|tls)://[^\\s,]+)*$',
      allowedText: 'nats:// or tls:// addresses, with commas between',
      description:
        'Servers of NATS; user and password, or a token, may stand before the host, as in nats://user:password@host:4222. With tls:// no connection goes without TLS',
      secret: true,
    }),
  ),
  natsUser: Type.Optional(
    text({
      env: 'NATS_USER',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,1024}$',
      allowedText: 'a name',
      description: 'User of NATS; goes with NATS_PASSWORD',
    }),
  ),
  natsPassword: Type.Optional(
    text({
      env: 'NATS_PASSWORD',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'a text',
      description: 'Password of NATS_USER',
      secret: true,
    }),
  ),
  natsToken: Type.Optional(
    text({
      env: 'NATS_TOKEN',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'a text',
      description: 'Token for NATS, where its servers ask for one instead of a user',
      secret: true,
    }),
  ),
  natsCredsPath: Type.Optional(
    text({
      ...PATH,
      env: 'NATS_CREDS',
      description:
        'File of credentials for NATS (.creds: a JWT and the seed of its nkey); read again on each connection',
    }),
  ),
  natsNkeySeed: Type.Optional(
    text({
      env: 'NATS_NKEY_SEED',
      defaultText: '',
      pattern: '^SU[A-Z2-7]{56}$',
      allowedText: 'the seed of a user: SU and 56 letters and digits',
      description: 'Seed of the nkey that NATS knows this instance by',
      secret: true,
    }),
  ),
  natsTlsCaPath: Type.Optional(
    text({
      ...PATH,
      env: 'NATS_TLS_CA',
      description:
        'Certificates in PEM, one of which must have signed that of NATS; without it, those that Node trusts. Any NATS_TLS_ variable asks for TLS, as tls:// does',
    }),
  ),
  natsTlsCertPath: Type.Optional(
    text({
      ...PATH,
      env: 'NATS_TLS_CERT',
      description: 'Certificate in PEM that NATS may ask for; goes with NATS_TLS_KEY',
    }),
  ),
  natsTlsKeyPath: Type.Optional(
    text({
      ...PATH,
      env: 'NATS_TLS_KEY',
      description: 'Its private key in PEM, without a passphrase',
    }),
  ),
};
