/**
 * A client of the change feed, as strict as one can be: parses server-sent events, keeps the last
 * message of each product, and throws on a seq that does not rise. Tests and benches only.
 */
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';

export interface ToldChange {
  readonly seq: number;
  readonly product_id: string;
  readonly changed: readonly string[];
  readonly occurred_at: string;
  readonly deleted: boolean;
  readonly price: number | null;
  readonly stock: number | null;
  readonly version: number;
}

export interface FollowOptions {
  readonly port: number;
  /** Last-Event-ID of the first connection. */
  readonly lastEventId?: number;
  readonly query?: string;
  readonly token?: string;
}

export class ChangeFollower {
  readonly port: number;
  /** The last message of each product. */
  readonly last = new Map<string, ToldChange>();
  /** Every seq that was told, over all connections. */
  readonly seqs = new Set<number>();
  /** Names of the events other than changes and positions, in order. */
  readonly events: { readonly name: string; readonly seq: number }[] = [];
  /** Positions that came after the first event of a connection. */
  heartbeats = 0;
  lastEventId: number | undefined;
  fault: Error | undefined;
  isEnded = false;
  readonly #query: string;
  readonly #token: string | undefined;
  #request: ClientRequest | undefined;
  #response: IncomingMessage | undefined;
  #text = '';
  #seqOnConnection = 0;
  #hasBegun = false;
  #looks = new Set<() => void>();

  constructor({ port, lastEventId, query = '', token }: FollowOptions) {
    this.port = port;
    this.#token = token;
    this.lastEventId = lastEventId;
    this.#query = query;
  }

  /** Resolves when the headers are there; throws unless it is a stream. */
  async connect(): Promise<IncomingMessage> {
    const { port, lastEventId } = this;
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (lastEventId !== undefined) headers['last-event-id'] = String(lastEventId);
    if (this.#token !== undefined) headers.authorization = `Bearer ${this.#token}`;
    this.#text = '';
    this.#seqOnConnection = lastEventId ?? 0;
    this.#hasBegun = false;
    this.isEnded = false;
    const path = `/api/v1/changes${this.#query}`;
    this.#request = get({ port, host: '127.0.0.1', path, headers, agent: false });
    const [response] = (await once(this.#request, 'response')) as [IncomingMessage];
    if (response.statusCode !== 200) throw new Error(`status ${response.statusCode}`);
    this.#response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      if (response === this.#response) this.#take(text);
    });
    const end = () => {
      if (response !== this.#response) return;
      this.isEnded = true;
      this.#look();
    };
    response.on('end', end).on('error', end).on('close', end);
    return response;
  }

  /** Cuts the connection, wherever it is. */
  disconnect(): void {
    this.#response = undefined;
    this.#request?.destroy();
  }

  /** Resolves once `isDone` holds; rejects with a fault, or when the stream ends before. */
  until(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const isOver = isDone();
        if (this.fault === undefined && !isOver && !this.isEnded) return;
        this.#looks.delete(look);
        if (this.fault !== undefined) reject(this.fault);
        else if (isOver) resolve();
        else reject(new Error(`the stream ended at ${this.lastEventId}`));
      };
      this.#looks.add(look);
      look();
    });
  }

  #take(text: string): void {
    this.#text += text;
    let from = 0;
    for (;;) {
      const end = this.#text.indexOf('\n\n', from);
      if (end === -1) break;
      try {
        this.#message(this.#text.slice(from, end));
      } catch (error) {
        this.fault ??= error as Error;
      }
      from = end + 2;
    }
    this.#text = this.#text.slice(from);
    this.#look();
  }

  #message(text: string): void {
    let name = 'message';
    let data: string | undefined;
    let id: number | undefined;
    for (const line of text.split('\n')) {
      if (line.startsWith('id: ')) id = Number(line.slice(4));
      else if (line.startsWith('event: ')) name = line.slice(7);
      else if (line.startsWith('data: ')) data = line.slice(6);
      else if (!/^(: |retry: \d+$)/.test(line)) throw new Error(`unknown line ${line}`);
    }
    // Clients hand on events without data as if they had some, or lose their id.
    if (data === undefined) throw new Error(`an event without data: ${text}`);
    if (id !== undefined) this.lastEventId = id;
    const value = JSON.parse(data);
    if (name === 'message') this.#change(value, id);
    else if (name !== 'position') this.events.push({ name, seq: value.seq });
    else if (value.seq !== id) throw new Error(`id ${id} on the position ${value.seq}`);
    else if (this.#hasBegun) this.heartbeats++;
    this.#hasBegun = true;
  }

  #change(change: ToldChange, id: number | undefined): void {
    const { seq } = change;
    if (seq !== id) throw new Error(`id ${id} on seq ${seq}`);
    if (seq <= this.#seqOnConnection) {
      throw new Error(`seq ${seq} after ${this.#seqOnConnection} on one connection`);
    }
    if (change.version < seq) throw new Error(`seq ${seq} with the older state ${change.version}`);
    this.#seqOnConnection = seq;
    this.seqs.add(seq);
    this.last.set(change.product_id, change);
  }

  #look(): void {
    for (const look of [...this.#looks]) look();
  }
}
