/** How this service is connected to NATS. Any thread. */
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import {
  createSecureContext,
  checkServerIdentity as isNodes,
  type PeerCertificate,
} from 'node:tls';
import {
  type Authenticator,
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  errors,
  type Msg,
  type MsgCallback,
  type NatsConnection,
  nkeyAuthenticator,
  type TlsOptions,
} from '@nats-io/transport-node';
import type { NatsLogin, NatsSettings } from '../config/nats.ts';

const TIMEOUT_MS = 2000;
/** A server that stands still is given up after two of these. */
const PING_MS = 2000;

/**
 * Connects to whichever server answers first; `isLasting`: and again whenever the connection breaks. Rejects
 * where none of them takes it, `natsFault` says why.
 */
export function openNats(
  settings: NatsSettings,
  name: string,
  isLasting: boolean,
): Promise<NatsConnection> {
  const { servers, login } = settings;
  const tls = tlsOptions(settings);
  return connect({
    servers: [...servers],
    ...loginOptions(login),
    ...(tls === undefined ? {} : { tls }),
    name,
    timeout: TIMEOUT_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    reconnect: isLasting,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    reconnectJitterTLS: 100,
    ignoreAuthErrorAbort: true,
  });
}

/** Looks at the files and the seed before anything is connected; throws, in one line, what is of no use. */
export function checkNats({ login, tls }: NatsSettings): void {
  if (login.by === 'creds') {
    readNamed('NATS_CREDS', login.path);
    asNamed(`NATS_CREDS=${login.path} holds no credentials`, () => tryOut(creds(login.path)));
  }
  if (login.by === 'nkey') {
    asNamed('NATS_NKEY_SEED is no seed of an nkey', () => tryOut(nkey(login.seed)));
  }
  if (tls === undefined) return;
  const { caPath, certPath, keyPath } = tls;
  const ca = caPath === undefined ? undefined : readNamed('NATS_TLS_CA', caPath);
  const cert = certPath === undefined ? undefined : readNamed('NATS_TLS_CERT', certPath);
  const key = keyPath === undefined ? undefined : readNamed('NATS_TLS_KEY', keyPath);
  // Node takes a file without a certificate for an empty list.
  if (ca?.includes('-----BEGIN') === false) {
    throw new Error(`NATS_TLS_CA=${caPath} has no certificate to use`);
  }
  const names = [caPath && 'NATS_TLS_CA', certPath && 'NATS_TLS_CERT', keyPath && 'NATS_TLS_KEY'];
  asNamed(`${names.filter(Boolean).join(', ')}: of no use`, () =>
    createSecureContext({ ca, cert, key }),
  );
}

/** Why there is no connection, in one line. */
export function natsFault(error: unknown): string {
  if (
    error instanceof errors.AuthorizationError ||
    error instanceof errors.UserAuthenticationExpiredError
  ) {
    return `NATS refuses the credentials (${error.message})`;
  }
  const message = error instanceof Error ? error.message : String(error);
  return `NATS cannot be reached: ${message}`;
}

/**
 * A callback for a subscription. What a callback throws ends the client's reading without a word, and the connection is
 * deaf: so `onError` gets it, and what the server has against the subscription. None given: what is thrown ends the
 * thread, and the rest is the connection's status to tell.
 */
export function subscriber(
  take: (message: Msg) => void,
  onError?: (error: unknown) => void,
): MsgCallback<Msg> {
  return (error, message) => {
    if (error !== null) return onError?.(error);
    try {
      take(message);
    } catch (thrown) {
      (onError ?? endThread)(thrown);
    }
  };
}

/** As an error that nobody catches. */
function endThread(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function loginOptions(login: NatsLogin): ConnectionOptions {
  switch (login.by) {
    case 'nothing':
      return {};
    case 'password':
      return { user: login.user, pass: login.password };
    case 'token':
      return { token: login.token };
    case 'creds':
      return { authenticator: creds(login.path) };
    case 'nkey':
      return { authenticator: nkey(login.seed) };
  }
}

/** Reads the file for each connection: it may be another one by then. */
function creds(path: string): Authenticator {
  return credsAuthenticator(() => readFileSync(path));
}

function nkey(seed: string): Authenticator {
  return nkeyAuthenticator(new TextEncoder().encode(seed));
}

function tryOut(authenticator: Authenticator): void {
  authenticator('nonce');
}

/** None where nobody asks for TLS: a server that does is checked against what Node trusts. */
function tlsOptions({ tls, servers }: NatsSettings): TlsOptions | undefined {
  if (tls === undefined) return undefined;
  const { caPath, certPath, keyPath } = tls;
  const addresses = servers.map((server) => plainAddress(new URL(`nats://${server}`).hostname));
  const options = {
    ...(caPath === undefined ? {} : { caFile: caPath }),
    ...(certPath === undefined ? {} : { certFile: certPath }),
    ...(keyPath === undefined ? {} : { keyFile: keyPath }),
    minVersion: 'TLSv1.2',
    checkServerIdentity: (name: string, certificate: PeerCertificate) =>
      identityFault(addresses, name, certificate),
  };
  return options;
}

/**
 * The client names no server that is addressed by its IP, and Node checks for localhost then; so its
 * certificate has to be for one of the addresses that are configured.
 */
function identityFault(
  addresses: readonly string[],
  name: string,
  certificate: PeerCertificate,
): Error | undefined {
  const ips = addresses.filter((address) => isIP(address) !== 0);
  const isNamed = name !== 'localhost' || addresses.includes(name) || ips.length === 0;
  if (isNamed) return isNodes(name, certificate);
  const faults = ips.map((ip) => isNodes(ip, certificate));
  return faults.includes(undefined) ? undefined : faults[0];
}

/** Of an IPv6 address in a URL, without its brackets. */
function plainAddress(hostname: string): string {
  return hostname.replace(/^\[(.*)\]$/, '$1');
}

function readNamed(variable: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Error(`${variable}=${path} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

function asNamed(what: string, check: () => void): void {
  try {
    check();
  } catch (error) {
    throw new Error(`${what} (${error instanceof Error ? error.message : error})`);
  }
}
