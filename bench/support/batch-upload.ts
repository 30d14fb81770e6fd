/**
 * Sends a batch over a bare TCP connection, so that the client costs as little as one can: the body
 * is ready in memory and goes out as the socket takes it. Main thread of the bench.
 */
import type { Buffer } from 'node:buffer';
import { once } from 'node:events';
import { connect } from 'node:net';

export interface BatchAnswer {
  readonly status: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly lastSeq: number | null;
  /** From the first byte sent to the answer. */
  readonly seconds: number;
}

/** Sends `blocks` as one body of NDJSON; resolves with the answer. */
export async function uploadBatch(
  url: string,
  query: string,
  blocks: readonly Buffer[],
): Promise<BatchAnswer> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname).setNoDelay();
  await once(socket, 'connect');
  const answer = received(socket.setEncoding('latin1'));
  const bytes = blocks.reduce((sum, block) => sum + block.length, 0);
  const startMs = performance.now();
  socket.write(
    `POST /api/v1/events/batch${query} HTTP/1.1\r\nhost: ${hostname}\r\n` +
      `content-type: application/x-ndjson\r\ncontent-length: ${bytes}\r\n\r\n`,
  );
  for (const block of blocks) if (!socket.write(block)) await once(socket, 'drain');
  const text = await answer;
  const seconds = (performance.now() - startMs) / 1000;
  socket.destroy();
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));
  const { accepted, rejected, last_seq: lastSeq } = body;
  return { status, accepted, rejected, lastSeq, seconds };
}

/** The whole answer, which has a content-length. */
function received(socket: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk: string) => {
      text += chunk;
      const head = text.indexOf('\r\n\r\n');
      const length = Number(/^content-length: (\d+)/im.exec(text)?.[1]);
      if (head >= 0 && text.length >= head + 4 + length) resolve(text);
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`closed after ${JSON.stringify(text)}`)));
  });
}
