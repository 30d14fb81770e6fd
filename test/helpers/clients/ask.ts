/** One request as it is given, and its whole answer, whatever it is: for what stands between client and service. Tests only. */
import { once } from 'node:events';
import { type Agent, type IncomingMessage, request } from 'node:http';
import { bounded } from '../bounded.ts';

const WAIT_MS_MAX = 60_000;

export interface Reply {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface Ask {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
}

/** Paths are sent as they are, unlike fetch's. */
export async function ask(port: number, path: string, how: Ask = {}): Promise<Reply> {
  const { method = 'GET', headers = {}, body, agent } = how;
  const sent = request({ host: '127.0.0.1', port, path, method, headers, agent });
  sent.end(body);
  const [reply] = (await bounded(once(sent, 'response'), WAIT_MS_MAX, path)) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of reply) chunks.push(chunk as Buffer);
  return { status: reply.statusCode ?? 0, headers: reply.headers, body: Buffer.concat(chunks) };
}

/** How an event is posted. */
export const json = (value: unknown) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
});
