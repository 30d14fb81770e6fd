/**
 * A feed's bytes as its formats expect them: from a file or standard input, decompressed whole whatever it is
 * made of (gzip, zstd and br, recognised by their content), UTF-16 turned into UTF-8, and counted for the progress. What
 * is no feed at all (a workbook, an archive) is refused with what to do. Main thread; zlib on libuv's threads.
 */
import { createReadStream, statSync } from 'node:fs';
import { Readable } from 'node:stream';
import { TextDecoder } from 'node:util';
import { brotliDecompressSync, constants } from 'node:zlib';
import { ContentDecoder } from '../../http/requests/content-decoder.ts';
import { CommandError, messageOf } from '../command.ts';

const READ_BYTES = 256 * 1024;
const SNIFFED_BYTES = 4096;
/** Control characters that stand in no text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
const BINARY = /[\x00-\x08\x0e-\x1a\x1c-\x1f]/;

export type Coding = 'identity' | 'gzip' | 'zstd' | 'br';

export interface FeedSource {
  /** What is shown: the path as it was given, or `standard input`. */
  readonly name: string;
  readonly coding: Coding;
  /** Bytes of the file; `undefined` = not known (a pipe). */
  readonly bytesTotal: number | undefined;
  /** Last change of the file, ms since 1970; `undefined` of a pipe. */
  readonly changedMs: number | undefined;
  /** Bytes of the file that have been read. */
  readonly bytesRead: () => number;
  readonly chunks: AsyncIterable<Buffer>;
}

/** Opens `path`, `-` being standard input. Throws CommandError with the reason. */
export async function openSource(path: string): Promise<FeedSource> {
  const isPipe = path === '-';
  const stat = isPipe ? undefined : statOf(path);
  const stream = isPipe ? process.stdin : createReadStream(path, { highWaterMark: READ_BYTES });
  const name = isPipe ? 'standard input' : path;
  let read = 0;
  const first = await firstBytes(stream, name);
  refuseWorkbooks(first, name);
  const coding = codingOf(first, path);
  // What has been sniffed at is read again, by whoever comes now.
  const raw = Readable.from(counted(), { objectMode: false, highWaterMark: READ_BYTES });
  async function* counted() {
    if (first.length > 0) yield first;
    read += first.length;
    for await (const chunk of stream) {
      read += chunk.length;
      yield chunk as Buffer;
    }
  }
  const plain = coding === 'identity' ? raw : decoded(raw, coding, name);
  return {
    name,
    coding,
    bytesTotal: stat?.isFile() ? stat.size : undefined,
    changedMs: stat?.isFile() ? stat.mtimeMs : undefined,
    bytesRead: () => read,
    chunks: asUtf8(plain),
  };
}

function statOf(path: string) {
  try {
    const stat = statSync(path);
    if (stat.isDirectory()) throw new CommandError(`${path} is a folder`);
    return stat;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`${path}: ${messageOf(error)}`);
  }
}

/** At least as much as is looked at, if there is so much. */
async function firstBytes(stream: Readable, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    while (length < SNIFFED_BYTES) {
      const chunk: Buffer | null = stream.read();
      if (chunk !== null) {
        chunks.push(chunk);
        length += chunk.length;
      } else if (!(await becameReadable(stream))) break;
    }
  } catch (error) {
    throw new CommandError(`${name}: ${messageOf(error)}`);
  }
  return Buffer.concat(chunks);
}

/** False at the end. */
function becameReadable(stream: Readable): Promise<boolean> {
  if (stream.readableEnded) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    const settle = (end: () => void) => () => {
      stream.off('readable', onReadable).off('end', onEnd).off('error', onError);
      end();
    };
    const onReadable = settle(() => resolve(true));
    const onEnd = settle(() => resolve(false));
    const onError = (error: Error) => settle(() => reject(error))();
    stream.on('readable', onReadable).on('end', onEnd).on('error', onError);
  });
}

function refuseWorkbooks(first: Buffer, name: string): void {
  const magic = first.toString('hex', 0, 4);
  if (magic === '504b0304') {
    throw new CommandError(
      `${name} is a zip archive or an Excel workbook (.xlsx): unpack it, or save the sheet as CSV UTF-8`,
    );
  }
  if (magic === 'd0cf11e0') {
    throw new CommandError(`${name} is an old Excel workbook (.xls): save the sheet as CSV UTF-8`);
  }
}

function codingOf(first: Buffer, path: string): Coding {
  if (first[0] === 0x1f && first[1] === 0x8b) return 'gzip';
  const magic = first.length < 4 ? 0 : first.readUInt32LE(0);
  if (magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd';
  const isUtf16 = first[0] === 0xff && first[1] === 0xfe;
  const looksBinary = BINARY.test(first.toString('latin1', 0, SNIFFED_BYTES));
  // br has no mark of its own: what is no text, and can be decoded, is one.
  return !isUtf16 && (looksBinary || path.endsWith('.br')) && isBrotli(first) ? 'br' : 'identity';
}

function isBrotli(first: Buffer): boolean {
  try {
    // A stream that goes on behind the first bytes is decoded as far as they go.
    const finishFlush = constants.BROTLI_OPERATION_FLUSH;
    brotliDecompressSync(first, { finishFlush, maxOutputLength: 1 << 24 });
    return true;
  } catch (error) {
    // A first stream may be followed by others, or expand to more than is wanted here.
    return error instanceof RangeError;
  }
}

/** Everything that is in it, one frame behind the other. */
async function* decoded(raw: Readable, coding: string, name: string): AsyncGenerator<Buffer> {
  let wake: () => void = () => undefined;
  const decoder = new ContentDecoder(raw, coding, () => wake());
  let fault: Error | undefined;
  raw.on('error', (error) => {
    fault = error;
    wake();
  });
  try {
    for (;;) {
      const moved = new Promise<void>((resolve) => {
        wake = resolve;
      });
      let chunk: Buffer | null;
      try {
        chunk = decoder.read();
      } catch (error) {
        throw new CommandError(`${name}: ${messageOf(error).replace('The body', 'it')}`);
      }
      if (fault !== undefined) throw new CommandError(`${name}: ${fault.message}`);
      if (chunk !== null) yield chunk;
      else if (decoder.isEnded) return;
      else await moved;
    }
  } finally {
    decoder.destroy();
    raw.destroy();
  }
}

/** UTF-16 with its byte order mark, as Excel's "Unicode text" is, as UTF-8; all else as it is. */
async function* asUtf8(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let decoder: TextDecoder | undefined;
  let isFirst = true;
  for await (const chunk of chunks) {
    if (isFirst && chunk.length >= 2) {
      if (chunk[0] === 0xff && chunk[1] === 0xfe) decoder = new TextDecoder('utf-16le');
      if (chunk[0] === 0xfe && chunk[1] === 0xff) decoder = new TextDecoder('utf-16be');
    }
    isFirst = false;
    yield decoder === undefined ? chunk : Buffer.from(decoder.decode(chunk, { stream: true }));
  }
  const rest = decoder?.decode() ?? '';
  if (rest !== '') yield Buffer.from(rest);
}
