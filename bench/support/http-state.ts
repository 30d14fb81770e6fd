/**
 * Checks over HTTP that a server holds what a load has sent it. Runs in the bench's process.
 */
import { Agent, get, type OutgoingHttpHeaders } from 'node:http';
import { productValue } from './http-load.ts';

const CONNECTIONS = 16;
/** An answer says durable, not applied: a product may take a moment to show its last value. */
const APPLIED_MS_MAX = 5000;

/** Throws unless every product of `ids` reads back with the values of `edition`; `token` goes with each read. */
export async function verifyProducts(
  url: string,
  ids: readonly string[],
  edition: number,
  token?: string,
): Promise<void> {
  const states = ids.map((id, i) => JSON.stringify({ id, ...productValue(i, edition) }));
  await readProducts(url, states, token === undefined ? {} : { authorization: `Bearer ${token}` });
}

/** Throws unless every product reads back as one of the JSON texts in `states` says. */
export async function readProducts(
  url: string,
  states: readonly string[],
  headers: OutgoingHttpHeaders = {},
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const deadlineMs = performance.now() + APPLIED_MS_MAX;
  let next = 0;
  const readOn = async () => {
    for (let i = next++; i < states.length; i = next++) {
      const expected = states[i];
      const { id } = JSON.parse(expected) as { id: string };
      const path = `${url}/api/v1/products/${encodeURIComponent(id)}`;
      let found = await read(agent, path, headers);
      while (found !== expected && performance.now() < deadlineMs)
        found = await read(agent, path, headers);
      if (found !== expected) throw new Error(`${url}: expected ${expected}, found ${found}`);
    }
  };
  try {
    await Promise.all(Array.from({ length: CONNECTIONS }, readOn));
  } finally {
    agent.destroy();
  }
}

function read(agent: Agent, url: string, headers: OutgoingHttpHeaders): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, headers }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () => resolve(body));
      response.once('error', reject);
    });
    request.once('error', reject);
  });
}
