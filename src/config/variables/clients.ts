/** Variables of what each client may have, and how it is known and reached: rates, proxies, origins, TLS. Pure data, any thread. */
import { Type } from '@sinclair/typebox';
import { NO_RATE, RATE_PATTERN } from '../rate.ts';
import { networks, origins, text } from '../variable.ts';

const RATE_ALLOWED = 'off, or a rate from 1/9999h to 10000000/1s, like 1000/1s';

export const CLIENTS = {
  rateLimit: text({
    env: 'RATE_LIMIT',
    defaultText: NO_RATE,
    pattern: RATE_PATTERN,
    allowedText: RATE_ALLOWED,
    description:
      'What one client may have of each kind, reads, writes and events in batches, if that has no limit of its own; a client is the subject of its token, else its IPv4 address or the first 64 bits of its IPv6 one',
  }),
  readRate: Type.Optional(
    text({
      env: 'RATE_LIMIT_READ',
      defaultText: '',
      pattern: RATE_PATTERN,
      allowedText: RATE_ALLOWED,
      description: 'Reads that one client may have, unknown paths among them',
    }),
  ),
  writeRate: Type.Optional(
    text({
      env: 'RATE_LIMIT_WRITE',
      defaultText: '',
      pattern: RATE_PATTERN,
      allowedText: RATE_ALLOWED,
      description: 'Single writes that one client may have',
    }),
  ),
  bulkRate: Type.Optional(
    text({
      env: 'RATE_LIMIT_BULK',
      defaultText: '',
      pattern: RATE_PATTERN,
      allowedText: RATE_ALLOWED,
      description:
        'Events in batches that one client may have; a stream is slowed down to it, and what a batch taken whole has beyond it is owed',
    }),
  ),
  trustProxy: Type.Optional(
    networks({
      env: 'TRUST_PROXY',
      defaultText: '',
      allowedText: 'networks like 10.0.0.0/8, fd00::/8, 192.0.2.7',
      description: 'Proxies whose X-Forwarded-For says who the client is; nobody else is believed',
    }),
  ),
  corsOrigins: Type.Optional(
    origins({
      env: 'CORS_ORIGINS',
      defaultText: '',
      allowedText: 'origins like https://shop.example, http://localhost:5173',
      description: 'Origins whose pages may use the service from a browser (CORS)',
    }),
  ),
  tlsCertPath: Type.Optional(
    text({
      env: 'TLS_CERT',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'the path of a PEM file',
      description:
        'Certificate, and those between it and the root; with it and TLS_KEY the service speaks TLS only, HTTP/2 and HTTP/1.1. SIGHUP reads both anew',
    }),
  ),
  tlsKeyPath: Type.Optional(
    text({
      env: 'TLS_KEY',
      defaultText: '',
      pattern: '^[^\\u0000-\\u001f]{1,4096}$',
      allowedText: 'the path of a PEM file',
      description: "The certificate's private key, without a passphrase",
    }),
  ),
};
