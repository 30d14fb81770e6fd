/** One connection of HTTP/2 to the service, many requests at a time. Tests only. */
import { Buffer } from 'node:buffer';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2';
import type { Test } from 'tap';
import { checkAnswer } from '../api/described-answers.ts';
import { bounded } from '../bounded.ts';

const WAIT_MS_MAX = 60_000;

export interface Http2Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
}

/** A request whose body is written, or whose answer is read, by the test. */
export interface OpenRequest {
  readonly stream: ClientHttp2Stream;
  /** Rejects with what reset the stream; its `code` is that of RST_STREAM. */
  readonly answered: Promise<Http2Answer>;
}

/** The stream ended before its answer was whole. */
export class StreamReset extends Error {
  readonly code: number;
  readonly status: number | undefined;
  constructor(code: number, status: number | undefined, cause: unknown) {
    super(`the stream was reset: ${code}`, { cause });
    this.code = code;
    this.status = status;
  }
}

export class Http2Client {
  readonly session: ClientHttp2Session;
  /** Last stream that the service said it serves, once it has said goodbye. */
  lastServed: number | undefined;
  readonly closed: Promise<void>;

  private constructor(session: ClientHttp2Session) {
    this.session = session;
    session.on('error', () => undefined);
    session.on('goaway', (_code, last) => {
      this.lastServed = last;
    });
    this.closed = new Promise((resolve) => session.once('close', resolve));
  }

  /** Connects to the service on `port` and waits for the handshake; closed when the test is done. */
  static async open(
    t: Test,
    port: number,
    options: SecureClientSessionOptions = {},
  ): Promise<Http2Client> {
    // Not in Node's types yet: a test sends what a library would not.
    const lenient = { rejectUnauthorized: false, strictSingleValueFields: false };
    const session = connect(`https://localhost:${port}`, { ...lenient, ...options });
    t.teardown(() => session.destroy());
    const ready = new Promise((resolve, reject) => {
      session.once('connect', resolve).once('error', reject);
    });
    await bounded(ready, WAIT_MS_MAX, 'a connection of HTTP/2');
    return new Http2Client(session);
  }

  /** Begins a request whose body the caller writes and ends. */
  begin(path: string, headers: OutgoingHttpHeaders = {}): OpenRequest {
    const all: OutgoingHttpHeaders = { ':path': path, ':method': 'GET', ...headers };
    const stream = this.session.request(all, { endStream: false });
    const answered = new Promise<Http2Answer>((resolve, reject) => {
      let status: number | undefined;
      let answer: Http2Answer['headers'] = {};
      const chunks: Buffer[] = [];
      let failure: unknown;
      let isWhole = false;
      stream.on('response', (given) => {
        const { ':status': code, ...rest } = given;
        status = Number(code);
        answer = rest as Http2Answer['headers'];
      });
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        isWhole = true;
      });
      stream.on('error', (error) => {
        failure = error;
      });
      stream.on('close', () => {
        if (status === undefined || !isWhole || stream.rstCode !== 0) {
          reject(new StreamReset(stream.rstCode, status, failure));
          return;
        }
        const text = Buffer.concat(chunks).toString();
        const method = String(all[':method']);
        try {
          const isCoded = answer['content-encoding'] !== undefined;
          if (method !== 'HEAD' && !isCoded) {
            checkAnswer({ method, url: path, status, headers: { ...answer }, text, isWhole: true });
          }
          resolve({ status, headers: answer, text });
        } catch (error) {
          reject(error);
        }
      });
    });
    const inTime = bounded(answered, WAIT_MS_MAX, `an answer to ${path}`);
    inTime.catch(() => undefined);
    return { stream, answered: inTime };
  }

  /** Sends a whole request and resolves to its answer. */
  ask(path: string, headers?: OutgoingHttpHeaders, body?: string | Buffer): Promise<Http2Answer> {
    const { stream, answered } = this.begin(path, headers);
    stream.end(body);
    return answered;
  }

  /** Sends an event, as JSON. */
  post(event: object, query = '', headers: OutgoingHttpHeaders = {}): Promise<Http2Answer> {
    const json = { ':method': 'POST', 'content-type': 'application/json', ...headers };
    return this.ask(`/api/v1/events${query}`, json, JSON.stringify(event));
  }
}
