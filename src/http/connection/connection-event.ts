/** Which event of a server announces each new socket on which requests will come. Main thread. */
import type { Server } from 'node:http';

/** With TLS that is once the handshake is over; the socket before is another. */
export function connectionEvent(server: Server): 'connection' | 'secureConnection' {
  return 'setSecureContext' in server ? 'secureConnection' : 'connection';
}
