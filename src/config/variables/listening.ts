/** Variables of where the service listens, and who may without a token. Pure data, any thread. */
import { Type } from '@sinclair/typebox';
import { boolean, host, integer } from '../variable.ts';

export const LISTENING = {
  port: integer({
    env: 'PORT',
    defaultText: '8080',
    minimum: 0,
    maximum: 65_535,
    description: 'TCP port to listen on; 0 takes any free one and logs it',
  }),
  host: host({
    env: 'HOST',
    defaultText: '127.0.0.1',
    allowedText: 'an IP address or a host name, without a port',
    description: 'Address to listen on; 0.0.0.0 or :: serve other machines too',
  }),
  isAnonymousAllowed: boolean({
    env: 'ALLOW_ANONYMOUS',
    defaultText: 'false',
    description:
      'Serve other machines without authentication: a HOST that is not loopback needs this or a key for tokens',
  }),
  httpThreads: integer({
    env: 'HTTP_THREADS',
    defaultText: '1',
    minimum: 1,
    maximum: 24,
    description:
      'Threads that serve HTTP on the same port, on Linux; each takes memory and a core when there is work, so raise it where one core is not enough',
  }),
  adminPort: Type.Optional(
    integer({
      env: 'ADMIN_PORT',
      defaultText: '',
      minimum: 0,
      maximum: 65_535,
      description:
        'TCP port of a listener of its own for administration, which PORT answers 404 then; 0 takes any free one and logs it',
    }),
  ),
  adminHost: host({
    env: 'ADMIN_HOST',
    defaultText: '127.0.0.1',
    allowedText: 'an IP address or a host name, without a port',
    description:
      'Address of that listener; without authentication, whoever reaches it may administer',
  }),
};
