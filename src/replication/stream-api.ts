/** The few requests of JetStream's API that are needed, as NATS describes them. Any thread. */
import type { Msg, NatsConnection } from '@nats-io/transport-node';

const TIMEOUT_MS = 2000;
const NO_MESSAGE = 10037;
const DATA = '"data":"';
/** JetStream's code where there is no stream of that name. */
export const NO_STREAM = 10059;

export interface StreamInfo {
  readonly config: {
    readonly num_replicas: number;
    readonly max_bytes: number;
    readonly sealed?: boolean;
  };
  readonly state: {
    readonly messages: number;
    readonly bytes: number;
    readonly first_seq: number;
    readonly last_seq: number;
  };
  readonly cluster?: {
    readonly leader?: string;
    readonly replicas?: readonly { name: string; current: boolean; offline?: boolean }[];
  };
}

/** What the server says is wrong; `code` is JetStream's own (10000 and above), or that of a status. */
export class StreamError extends Error {
  readonly code: number;

  constructor(description: string, code: number) {
    super(description);
    this.code = code;
  }
}

export class StreamApi {
  readonly #connection: NatsConnection;
  readonly #stream: string;

  constructor(connection: NatsConnection, stream: string) {
    this.#connection = connection;
    this.#stream = stream;
  }

  info(): Promise<StreamInfo> {
    return this.#ask(`STREAM.INFO.${this.#stream}`, {});
  }

  create(config: object): Promise<StreamInfo> {
    return this.#ask(`STREAM.CREATE.${this.#stream}`, { name: this.#stream, ...config });
  }

  /** From now on it stays as it is. */
  async seal(): Promise<void> {
    const { config } = await this.info();
    await this.#ask(`STREAM.UPDATE.${this.#stream}`, { ...config, sealed: true });
  }

  /** Removes what is before the position `begins`. */
  purge(begins: number): Promise<unknown> {
    return this.#ask(`STREAM.PURGE.${this.#stream}`, { seq: begins });
  }

  /** The message at a position, as the leader has it; `undefined` = it has none. */
  async leaders(seq: number): Promise<Uint8Array | undefined> {
    try {
      const answer = await this.#request(`STREAM.MSG.GET.${this.#stream}`, { seq });
      return dataIn(answer.data) ?? Buffer.from(read<Found>(answer).message.data ?? '', 'base64');
    } catch (error) {
      if (error instanceof StreamError && error.code === NO_MESSAGE) return undefined;
      throw error;
    }
  }

  /** The message at a position, as any server has it; `undefined` = that one has none (yet). */
  async direct(seq: number): Promise<Uint8Array | undefined> {
    const subject = `$JS.API.DIRECT.GET.${this.#stream}`;
    const timeout = TIMEOUT_MS;
    const answer = await this.#connection.request(subject, JSON.stringify({ seq }), { timeout });
    const code = answer.headers?.code ?? 0;
    if (code === 404) return undefined;
    if (code >= 300) throw new StreamError(answer.headers?.description ?? '', code);
    return answer.data;
  }

  async #ask<T>(what: string, request: object): Promise<T> {
    return read(await this.#request(what, request));
  }

  #request(what: string, request: object): Promise<Msg> {
    const timeout = TIMEOUT_MS;
    return this.#connection.request(`$JS.API.${what}`, JSON.stringify(request), { timeout });
  }
}

/** What the server answers. Throws what it refuses. */
function read<T>(answer: Msg): T {
  const found = answer.json() as T & { error?: { description: string; err_code: number } };
  if (found.error === undefined) return found;
  throw new StreamError(found.error.description, found.error.err_code);
}

/** What the stream answers for one of its messages, as far as it is needed. */
interface Found {
  /** `data` in base64; not there where it is empty. */
  readonly message: { readonly data?: string };
}

/**
 * The data in such an answer without all of its JSON being read: up to 1.4 MB, of which the data are all but some
 * hundred bytes. No string of JSON can have these quotes inside, nor base64 any.
 */
function dataIn(answer: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(answer.buffer, answer.byteOffset, answer.length);
  const at = bytes.indexOf(DATA);
  if (at < 0) return undefined;
  const from = at + DATA.length;
  const to = bytes.indexOf('"', from);
  return to < 0 ? undefined : Buffer.from(bytes.toString('latin1', from, to), 'base64');
}
