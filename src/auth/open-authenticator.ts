/** Makes what the configuration says of authentication; loaded only where it says something. Main thread. */
import type { Logger } from 'pino';
import type { Config } from '../config/schema.ts';
import { Authenticator } from './authenticator.ts';
import { configuredKeys } from './configured-keys.ts';
import { loadKeySet } from './load-key-set.ts';
import { RemoteKeys } from './remote-keys.ts';
import { FixedKeys, type TokenKeys } from './token-keys.ts';

/** Between two fetches of a key set, however many tokens name keys that it doesn't have. */
const COOLDOWN_MS = 10_000;
/** How long the last good key set counts while the issuer can't be reached. */
const KEEP_MS = 3_600_000;

/**
 * Opens it; close it at the end.
 * @throws {ConfigError} JWT_PUBLIC_KEY is no key, or the file there can't be read.
 */
export function openAuthenticator(config: Config, logger: Logger): Authenticator {
  return new Authenticator(keysOf(config, logger), {
    issuer: config.jwtIssuer,
    audience: config.jwtAudience,
    rolesClaim: config.jwtRolesClaim,
    clockSkewMs: config.jwtClockSkewMs,
  });
}

function keysOf(config: Config, logger: Logger): TokenKeys {
  const { jwksUrl, jwksRefreshMs } = config;
  if (jwksUrl === undefined) return new FixedKeys(configuredKeys(config));
  return new RemoteKeys({
    url: jwksUrl,
    refreshMs: jwksRefreshMs,
    cooldownMs: COOLDOWN_MS,
    keepMs: KEEP_MS,
    load: loadKeySet,
    logger,
    now: () => performance.now(),
  });
}
