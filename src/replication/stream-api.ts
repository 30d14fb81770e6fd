/** The few requests of JetStream's API that are needed, as NATS describes them. Any thread. */
import type { NatsConnection } from '@nats-io/transport-node';

const TIMEOUT_MS = 2000;
const NO_MESSAGE = 10037;
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
      const { message } = await this.#ask<{ message: { data?: string } }>(
        `STREAM.MSG.GET.${this.#stream}`,
        { seq },
      );
      return Buffer.from(message.data ?? '', 'base64');
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
    const timeout = TIMEOUT_MS;
    const body = JSON.stringify(request);
    const answer = await this.#connection.request(`$JS.API.${what}`, body, { timeout });
    const read = answer.json() as T & { error?: { description: string; err_code: number } };
    if (read.error !== undefined) {
      throw new StreamError(read.error.description, read.error.err_code);
    }
    return read;
  }
}
