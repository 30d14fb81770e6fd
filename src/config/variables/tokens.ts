/** Variables of whose tokens count. Pure data, any thread. */
import { Type } from '@sinclair/typebox';
import { duration, HOUR_MS, MINUTE_MS, SECOND_MS, text } from '../variable.ts';

export const TOKENS = {
  jwtSecret: Type.Optional(
    text({
      env: 'JWT_SECRET',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'a text of at least 32 bytes, taken as it is (nothing is decoded)',
      description:
        'Turns authentication on: every request but probes and documentation needs a token signed with HS256 under this secret',
      secret: true,
    }),
  ),
  jwtPublicKey: Type.Optional(
    text({
      env: 'JWT_PUBLIC_KEY',
      defaultText: '',
      pattern: '^[^\\u0000]{1,16384}$',
      allowedText:
        'a public key or certificate in PEM (\\n may stand for line ends), or a path to it',
      description:
        'The same with tokens signed under its private key: RS256 (RSA from 2048 bits), ES256 (P-256) or EdDSA (Ed25519), as the key is',
    }),
  ),
  jwksUrl: Type.Optional(
    text({
      env: 'JWKS_URL',
      defaultText: '',
      pattern: '^[\\u0021-\\u007e]{1,2048}$',
      allowedText: 'an https URL, or http on this machine',
      description:
        "The same with an issuer's key set, which may rotate; needs JWT_ISSUER and JWT_AUDIENCE",
    }),
  ),
  jwksRefreshMs: duration({
    env: 'JWKS_REFRESH',
    defaultText: '5m',
    minimum: SECOND_MS,
    maximum: HOUR_MS,
    description:
      'How often the key set is fetched anew: a key that was withdrawn is taken for so long at the most',
  }),
  jwtIssuer: Type.Optional(
    text({
      env: 'JWT_ISSUER',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,1024}$',
      allowedText: 'a text, mostly a URL',
      description: 'The iss that a token must have',
    }),
  ),
  jwtAudience: Type.Optional(
    text({
      env: 'JWT_AUDIENCE',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,1024}$',
      allowedText: 'a text',
      description: 'The aud that a token must have, alone or among others',
    }),
  ),
  jwtRolesClaim: text({
    env: 'JWT_ROLES_CLAIM',
    defaultText: 'roles',
    pattern: '^[^\\u0000-\\u0020]{1,256}$',
    allowedText: 'the name of a claim, or a path through objects like realm_access.roles',
    description:
      'The claim that has the roles reader, writer or admin, as an array or as words in one text',
  }),
  jwtClockSkewMs: duration({
    env: 'JWT_CLOCK_SKEW',
    defaultText: '30s',
    minimum: 0,
    maximum: 5 * MINUTE_MS,
    description: "How far the issuer's clock may be off this machine's",
  }),
};
