/**
 * All products as the service sends them, line by line, up to an end that proves that nothing is missing.
 * Main thread.
 *
 * That a connection ended proves nothing: a proxy that asks the service with HTTP/1.0 (nginx, unless told
 * otherwise) can't tell a whole answer from a cut one. So a compressed answer is asked for, which has an end of its
 * own, whatever stands between; a plain one must have been sent in chunks or with its length.
 */
import type { IncomingMessage } from 'node:http';
import { pipeline, type Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { CommandError, messageOf } from './command.ts';
import { type ServiceClient, unreachable } from './service-client.ts';

const CODINGS = 'zstd, gzip';

export interface Catalogue {
  /** Where the change feed goes on without a gap. */
  readonly seq: string;
  /** Throws Unreachable where the answer does not come to its end. */
  readonly lines: AsyncGenerator<string, void>;
}

/** Asks for the products at `path`. Throws what `client.open` throws, and CommandError for an answer that proves nothing. */
export async function openCatalogue(client: ServiceClient, path: string): Promise<Catalogue> {
  const accept = 'application/x-ndjson';
  const headers = { 'accept-encoding': CODINGS };
  const response = await client.open({ path, accept, headers });
  const seq = response.headers['x-resume-seq'];
  const refuse = (reason: string) => {
    response.destroy();
    return new CommandError(`${client.url.origin}: ${reason}; a proxy may have taken it away`);
  };
  if (typeof seq !== 'string' || !/^\d+$/.test(seq)) throw refuse('the answer has no x-resume-seq');
  const body = provenBody(response);
  if (body === undefined) {
    throw refuse(
      'the answer is neither compressed nor sent in chunks: nobody could see it cut off',
    );
  }
  return { seq, lines: linesOf(body, client.url) };
}

/** The text; it ends with an error unless it is whole. `undefined`: nothing would say so. */
function provenBody(response: IncomingMessage): Readable | undefined {
  const { headers } = response;
  const coding = headers['content-encoding'];
  if (coding === 'zstd' || coding === 'gzip') {
    const decoder = coding === 'zstd' ? createZstdDecompress() : createGunzip();
    return pipeline(response, decoder, () => undefined);
  }
  const isFramed =
    headers['transfer-encoding'] !== undefined || headers['content-length'] !== undefined;
  return isFramed ? response : undefined;
}

/** Node's readline also cuts at U+2028 and U+2029, which an id may have. */
async function* linesOf(body: Readable, url: URL): AsyncGenerator<string, void> {
  let rest = '';
  try {
    for await (const chunk of body.setEncoding('utf8')) {
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (error) {
    throw cutOff(url, messageOf(error));
  }
  if (rest !== '') throw cutOff(url, 'it ends within a line');
}

function cutOff(url: URL, reason: string): Error {
  return unreachable(url, new Error(`the stream was cut off: ${reason}`));
}
