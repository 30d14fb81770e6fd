/** An issuer's key set on a real server, which the test lets rotate, fail and stall. Tests only. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Test } from 'tap';

export interface Issuer {
  /** What is in its set from now on. */
  keys: readonly unknown[];
  /** How it answers from now on. */
  answer: (response: ServerResponse) => void;
  /** So many times it was asked. */
  fetches: number;
  readonly url: string;
}

/** Starts one, which ends with the test. */
export async function startIssuer(t: Test, keys: readonly unknown[] = []): Promise<Issuer> {
  const server = createServer((_request, response) => {
    issuer.fetches++;
    issuer.answer(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer: Issuer = {
    keys,
    fetches: 0,
    answer: (response) => response.end(JSON.stringify({ keys: issuer.keys })),
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`,
  };
  return issuer;
}
