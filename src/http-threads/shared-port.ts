/**
 * Listening where several threads do (SO_REUSEPORT). Main thread, at the start.
 *
 * With it the kernel refuses nobody of the same user: a second service would take its share of the first one's
 * connections. So before the first socket of a service shares the port, an ordinary one tries it; whoever
 * listens there makes that fail, as it always did. Between the two another service could do the same; so who
 * looks holds a claim meanwhile, a name in the abstract namespace of Unix sockets, which the kernel gives to one
 * at a time and which goes with its process.
 *
 *   claim ──▶ look: an ordinary socket listens, and is closed ──▶ listen, shared ──▶ let go of the claim
 *
 *   1. Two services with several threads at the same moment: the second waits for the claim, and its look
 *      fails then.
 *   2. One with a single thread, which shares nothing: its socket is refused where one listens, or it is there
 *      first and the other one's look, or at the latest its listening, is.
 *   3. Somebody holds the claim and never lets go: after CLAIM_MS_MAX it is done without.
 */
import { createServer, type ListenOptions, type Server } from 'node:net';
import type { Address } from './thread-messages.ts';

const CLAIM_MS_MAX = 5_000;
const CLAIM_EVERY_MS = 20;

/** Whether this system lets several sockets listen on one port. */
export async function canSharePorts({ host }: Pick<Address, 'host'>): Promise<boolean> {
  try {
    await closed(await listening({ host, port: 0, reusePort: true }));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOTSUP' || code === 'EINVAL' || code === 'ENOPROTOOPT') return false;
    throw error;
  }
}

/**
 * Calls `listen`, which is to listen at `address` and share it, if nobody else listens there. Rejects with what
 * the system says to an ordinary socket, or with what `listen` does.
 */
export async function listenFirst(address: Address, listen: () => Promise<void>): Promise<void> {
  // Of free ports the kernel gives one that nobody has.
  if (address.port === 0) return listen();
  const claim = await claimed(address.port);
  try {
    await closed(await listening({ ...address, exclusive: true }));
    await listen();
  } finally {
    claim?.close();
  }
}

async function claimed(port: number): Promise<Server | undefined> {
  const path = `\0product-service.port.${port}`;
  const untilMs = performance.now() + CLAIM_MS_MAX;
  while (performance.now() < untilMs) {
    try {
      return await listening({ path });
    } catch (error) {
      // Where there is no such namespace there is nothing to claim.
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') return undefined;
    }
    await new Promise((resolve) => setTimeout(resolve, CLAIM_EVERY_MS));
  }
  return undefined;
}

function listening(options: ListenOptions): Promise<Server> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options, () => resolve(server));
  });
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}
