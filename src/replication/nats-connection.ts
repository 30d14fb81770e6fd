/** How this service is connected to NATS. Any thread. */
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node';

/** Survives structured cloning. */
export interface NatsSettings {
  /** `nats://` addresses with commas between; user and password may stand in the first. */
  readonly url: string;
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

function addressOf({ url }: NatsSettings): ConnectionOptions {
  const addresses = url.split(',').map((address) => new URL(address.trim()));
  const servers = addresses.map(({ host }) => host);
  const [{ username, password }] = addresses as [URL];
  if (username === '') return { servers };
  return { servers, user: decodeURIComponent(username), pass: decodeURIComponent(password) };
}
