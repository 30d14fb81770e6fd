/**
 * How NATS is reached, out of the variables that say it, and what these must be to each other. Pure, any thread.
 */
import { CONFIG_KEYS, type Config, variableOf } from './schema.ts';

/** Who asks. Survives structured cloning. */
export type NatsLogin =
  | { readonly by: 'nothing' }
  | { readonly by: 'password'; readonly user: string; readonly password: string }
  | { readonly by: 'token'; readonly token: string }
  | { readonly by: 'creds'; readonly path: string }
  | { readonly by: 'nkey'; readonly seed: string };

/** Paths of files in PEM, read on each connection. */
export interface NatsTls {
  readonly caPath?: string | undefined;
  readonly certPath?: string | undefined;
  readonly keyPath?: string | undefined;
}

/** Survives structured cloning. */
export interface NatsSettings {
  /** `host:port` of each server. */
  readonly servers: readonly string[];
  readonly login: NatsLogin;
  /** None = TLS where a server asks for it. */
  readonly tls?: NatsTls;
}

/** All of a checked configuration with NATS_URL. */
export function natsSettings(config: Config): NatsSettings {
  const { natsUrl = '', natsTlsCaPath, natsTlsCertPath, natsTlsKeyPath } = config;
  const urls = urlsOf(natsUrl);
  const tls = { caPath: natsTlsCaPath, certPath: natsTlsCertPath, keyPath: natsTlsKeyPath };
  const isTls =
    urls.some(({ protocol }) => protocol === 'tls:') ||
    Object.values(tls).some((path) => path !== undefined);
  return {
    servers: urls.map(({ host }) => host),
    login: loginsOf(config)[0]?.login ?? { by: 'nothing' },
    ...(isTls ? { tls } : {}),
  };
}

/** One sentence for each relation that doesn't hold. */
export function natsFaults(config: Config): string[] {
  const { log, cluster, natsUrl, natsUser, natsPassword, natsTlsCertPath, natsTlsKeyPath } = config;
  if (log !== 'jetstream') {
    const set = CONFIG_KEYS.filter((key) => config[key] !== undefined)
      .map((key) => variableOf(key).env)
      .filter((env) => env === 'CLUSTER' || env.startsWith('NATS_'));
    if (config.role !== 'full') set.push('ROLE');
    if (set.length === 0) return [];
    return [`${set.join(' and ')} ${set.length === 1 ? 'is' : 'are'} for LOG=jetstream only`];
  }
  const faults: string[] = [];
  if (cluster === undefined || natsUrl === undefined) {
    faults.push('LOG=jetstream needs CLUSTER and NATS_URL');
  }
  if (natsUrl?.split(',').some((url) => !URL.canParse(url.trim())) === true) {
    faults.push('NATS_URL has an address that is none');
    return faults;
  }
  if ((natsUser === undefined) !== (natsPassword === undefined)) {
    faults.push('NATS_USER and NATS_PASSWORD go together: set both, or neither');
  }
  if ((natsTlsCertPath === undefined) !== (natsTlsKeyPath === undefined)) {
    faults.push('NATS_TLS_CERT and NATS_TLS_KEY go together: set both, or neither');
  }
  const said = loginsOf(config).map(({ where }) => where);
  if (said.length > 1) faults.push(`${said.join(' and ')} exclude each other: set one`);
  return faults;
}

/** Every way that is said to log in, and by which variable. */
function loginsOf(config: Config): { readonly where: string; readonly login: NatsLogin }[] {
  const { natsUrl = '', natsUser, natsPassword, natsToken, natsCredsPath, natsNkeySeed } = config;
  const found: { readonly where: string; readonly login: NatsLogin }[] = [];
  const named = urlsOf(natsUrl).find(({ username }) => username !== '');
  if (named !== undefined) {
    const user = decodeURIComponent(named.username);
    // As NATS has it: one word before the host is a token.
    const login: NatsLogin =
      named.password === ''
        ? { by: 'token', token: user }
        : { by: 'password', user, password: decodeURIComponent(named.password) };
    found.push({ where: 'the user in NATS_URL', login });
  }
  if (natsUser !== undefined && natsPassword !== undefined) {
    const login: NatsLogin = { by: 'password', user: natsUser, password: natsPassword };
    found.push({ where: 'NATS_USER', login });
  }
  if (natsToken !== undefined) {
    found.push({ where: 'NATS_TOKEN', login: { by: 'token', token: natsToken } });
  }
  if (natsCredsPath !== undefined) {
    found.push({ where: 'NATS_CREDS', login: { by: 'creds', path: natsCredsPath } });
  }
  if (natsNkeySeed !== undefined) {
    found.push({ where: 'NATS_NKEY_SEED', login: { by: 'nkey', seed: natsNkeySeed } });
  }
  return found;
}

function urlsOf(text: string): URL[] {
  if (text === '') return [];
  return text.split(',').map((address) => new URL(address.trim()));
}
