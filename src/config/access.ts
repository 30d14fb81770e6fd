/**
 * What the variables that let people in, or keep them out, must be to each other. Pure, any thread.
 */
import { Buffer } from 'node:buffer';
import { isLoopback } from './host.ts';
import { type Config, variableOf } from './schema.ts';

/** As long as the hash of HS256 (RFC 7518, section 3.2). */
const SECRET_BYTES_MIN = 32;

const ADMIN_HOST_DEFAULT = variableOf('adminHost').defaultText;

/** Whether requests need a token. */
export function isAuthenticated({ jwtSecret, jwtPublicKey, jwksUrl }: Config): boolean {
  return jwtSecret !== undefined || jwtPublicKey !== undefined || jwksUrl !== undefined;
}

/** One sentence for each relation that doesn't hold. */
export function accessFaults(config: Config): string[] {
  return [...hostFaults(config), ...keyFaults(config)];
}

function hostFaults(config: Config): string[] {
  const { host, adminHost, adminPort, isAnonymousAllowed } = config;
  const faults: string[] = [];
  if (adminPort === undefined && adminHost !== ADMIN_HOST_DEFAULT) {
    faults.push(`ADMIN_HOST=${adminHost} goes with ADMIN_PORT, which is not set`);
  }
  if (isAnonymousAllowed || isAuthenticated(config)) return faults;
  const remedy = 'set JWT_SECRET, JWT_PUBLIC_KEY or JWKS_URL, or say ALLOW_ANONYMOUS=true';
  if (!isLoopback(host)) {
    faults.push(`HOST=${host} serves other machines, and nobody would need a token: ${remedy}`);
  }
  if (adminPort !== undefined && !isLoopback(adminHost)) {
    faults.push(
      `ADMIN_HOST=${adminHost} lets other machines administer, and nobody would need a token: ${remedy}`,
    );
  }
  return faults;
}

function keyFaults({ jwtSecret, jwtPublicKey, jwksUrl, jwtIssuer, jwtAudience }: Config): string[] {
  const faults: string[] = [];
  const sources = Object.entries({
    JWT_SECRET: jwtSecret,
    JWT_PUBLIC_KEY: jwtPublicKey,
    JWKS_URL: jwksUrl,
  }).flatMap(([env, value]) => (value === undefined ? [] : [env]));
  if (sources.length > 1) faults.push(`${sources.join(' and ')} exclude each other: set one`);
  const secretBytes = Buffer.byteLength(jwtSecret ?? '');
  if (jwtSecret !== undefined && secretBytes < SECRET_BYTES_MIN) {
    faults.push(`JWT_SECRET has ${secretBytes} bytes and must have at least ${SECRET_BYTES_MIN}`);
  }
  if (jwksUrl === undefined) return faults;
  const urlFault = faultOfUrl(jwksUrl);
  if (urlFault !== undefined) faults.push(`JWKS_URL ${urlFault}`);
  if (jwtIssuer === undefined || jwtAudience === undefined) {
    faults.push(
      'JWKS_URL needs JWT_ISSUER and JWT_AUDIENCE, since such keys sign for other services too',
    );
  }
  return faults;
}

/** Whoever can change what comes over plain http could sign tokens. */
function faultOfUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return 'is no URL';
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return 'must not have a user or a password in it';
  if (protocol === 'https:' || isLoopback(hostname.replace(/^\[(.*)\]$/, '$1'))) return undefined;
  return 'must begin with https:// unless it is on this machine';
}
