/**
 * The contract of a sink: a database that has the present states of all products, for those who query it
 * there. Whatever database it is, files or a server:
 *
 *  - It keeps a position with the rows: all states whose seq is at most that are in it, or newer ones. Rows
 *    and position change in one transaction (Redis: the position after the rows).
 *  - A row is only ever replaced by one with a higher seq. So repetitions and late writes change nothing.
 *  - One instance writes at a time: it holds a lock as long as its connection lives, and an epoch that its
 *    successor raises. With an old epoch nothing is written: `SinkTakenError`.
 *
 * Types and errors only; implementations run in the sink's own thread. test/sinks/contract describes them
 * all from outside.
 */

/** What a sink keeps of a product. */
export interface ProductRow {
  readonly id: string;
  /** Null = absent. Both absent: the product is delisted; its row stays. */
  readonly price: number | null;
  readonly stock: number | null;
  /** Event times in ms since 1970, whole microseconds behind the point; null = never set. */
  readonly priceAtMs: number | null;
  readonly stockAtMs: number | null;
  /** The event that last changed it. */
  readonly seq: number;
  /** When that was committed, ms since 1970. */
  readonly updatedAtMs: number;
}

/** The newest event that anything in a sink is from; seq 0 in a new one. */
export interface NewestEvent {
  readonly seq: number;
  /** The run of the service that committed it (timeline.ts); '' = not known, as in a cluster. */
  readonly run: string;
}

/** How far a sink is. */
export interface SinkPlace {
  /** It has everything up to this seq. */
  readonly position: number;
  /** Not below the position: rows of a window are written before it is raised. */
  readonly newest: NewestEvent;
}

export interface Sink {
  /**
   * Connects, brings the schema up to date, becomes the one writer. Returns how far it is; 0 in a new sink.
   * Rejects with SinkTakenError while another instance writes, with SinkForeignError if it has the products
   * of another data folder, and with the client's errors. Can be called again after `close`.
   */
  open(): Promise<SinkPlace>;
  /**
   * Writes `rows` (each id once, in the order of ids), the position, and the newest event that a row or the position
   * is from, no later than them. Returns how many rows were newer than what stood. All or nothing; after a rejection
   * nobody knows which, until it is opened again.
   */
  write(rows: readonly ProductRow[], position: number, newest: NewestEvent): Promise<number>;
  /**
   * Ids of the rows that are listed, a page at a time, in any order; some may come twice, and of rows that change
   * meanwhile either is right. `write` may be called between two pages.
   */
  listed(): AsyncIterable<readonly string[]>;
  /** Keeps connection and lock alive while there is nothing to write. */
  beat(): Promise<void>;
  /** What kind of failure `error` is, as one of its own client's. */
  classify(error: unknown): ErrorClass;
  /** Drops the connection, whatever state it is in. Never rejects. */
  close(): Promise<void>;
}

/**
 * What is done about a failure:
 * - `retryable`: it may pass by itself (connection lost, deadlock, time-out): again, after a pause.
 * - `system`: the database's machine is in trouble (disk full, out of memory): again; the breaker opens at once.
 * - `not-retryable`: it takes somebody to change something (password, privileges, schema): likewise.
 * - `validation`: the database refuses a row for its data: the batch is halved until that row stands alone.
 */
export type ErrorClass = 'retryable' | 'system' | 'not-retryable' | 'validation';

/** Another instance writes to this sink. */
export class SinkTakenError extends Error {
  override readonly name = 'SinkTakenError';
}

/** The sink has the products of another data folder, or of a later state of this one. */
export class SinkForeignError extends Error {
  override readonly name = 'SinkForeignError';
}

/** A call took longer than CONNECTION_TIMEOUT. */
export class SinkTimeoutError extends Error {
  override readonly name = 'SinkTimeoutError';
}

/** What every sink is given. */
export interface SinkOptions {
  /** Whose products they are: the data folder's own name (identity.ts), or that of the cluster's generation. */
  readonly identity: string;
  /** The generation of the cluster before: what it wrote up to this seq this one has, too. */
  readonly before?: { readonly identity: string; readonly seqMax: number } | undefined;
  /** How long a call may take. */
  readonly timeoutMs: number;
  /** Connections at the most, where the client has a pool. */
  readonly connectionsMax: number;
}
