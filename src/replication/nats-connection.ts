/** How this service is connected to NATS. Any thread. */
import { readFileSync } from 'node:fs';
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection,
} from '@nats-io/transport-node';

/** Survives structured cloning. */
export interface NatsSettings {
  /** `nats://` or `tls://` addresses with commas between; user and password may stand in them. */
  readonly url: string;
  /** File of NATS credentials (JWT and key); none = those in the address, or none at all. */
  readonly credentials?: string | undefined;
  /** File of the authority that signed the servers' certificates; none = the system's. */
  readonly caFile?: string | undefined;
}

const TIMEOUT_MS = 2000;
/** A server that stands still is given up after two of these. */
const PING_MS = 2000;

/** Connects, and again whenever the connection breaks. `isPatient`: also to servers that are not there yet. */
export function openNats(
  settings: NatsSettings,
  name: string,
  isPatient: boolean,
): Promise<NatsConnection> {
  return connect({
    ...addressOf(settings),
    name,
    timeout: TIMEOUT_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    reconnect: isPatient,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    waitOnFirstConnect: isPatient,
    ignoreAuthErrorAbort: true,
  });
}

function addressOf({ url, credentials, caFile }: NatsSettings): ConnectionOptions {
  const addresses = url.split(',').map((address) => new URL(address.trim()));
  const [{ username, password }] = addresses as [URL];
  const isTls = addresses.some(({ protocol }) => protocol === 'tls:');
  return {
    servers: addresses.map(({ host }) => host),
    ...(username === ''
      ? {}
      : { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
    ...(credentials === undefined
      ? {}
      : { authenticator: credsAuthenticator(readFileSync(credentials)) }),
    ...(isTls ? { tls: caFile === undefined ? {} : { caFile } } : {}),
  };
}
