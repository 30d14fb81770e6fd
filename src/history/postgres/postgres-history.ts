/**
 * The history in PostgreSQL, in the schema of the sink. The history's own thread.
 *
 * One writer (postgres/writer-session.ts). Each transaction asks for its epoch first: it holds the row of the place
 * until it ends, so whoever takes over comes before it, or behind all of it.
 *
 * A transaction is a few statements over arrays, whatever number of events it has: at 0.1 ms a round trip, one
 * statement for each run would be minutes for a year of a shop.
 */
import { inTransaction } from '../../postgres/session.ts';
import { WriterSession } from '../../postgres/writer-session.ts';
import {
  HistoryForeignError,
  type HistoryPlace,
  type HistoryRow,
  type HistoryStore,
  HistoryTakenError,
  type HistoryTarget,
  type ProductChange,
} from '../history-store.ts';
import { FIELD_NUMBERS } from '../mark.ts';
import {
  FIRST_PLACE,
  HISTORY_VERSION_TABLE,
  PLACE,
  POSTGRES_HISTORY_MIGRATIONS,
} from './postgres-history-schema.ts';
import { isOfBefore, lockOf } from './postgres-owner.ts';
import { findListedProducts, findProducts, writeProducts } from './postgres-products.ts';
import { pruneStep } from './postgres-pruning.ts';
import { type FieldWriting, writeRuns } from './postgres-runs.ts';

/** Well within the time after which the server ends a session that it does not hear of. */
const BEAT_MS = 10_000;

const taken = () => new HistoryTakenError('another instance writes the history in this database');
const foreignToCluster = () =>
  new HistoryForeignError(
    'the database has a history that is not of this cluster, or has events that its present generation has not; see docs/cluster.md',
  );
const foreign = () =>
  new HistoryForeignError(
    'the database has the history of another data folder; see docs/history.md',
  );

export class PostgresHistory implements HistoryStore {
  readonly #target: HistoryTarget & { readonly kind: 'postgres' };
  #session: WriterSession | undefined;
  #beatMs = 0;

  constructor(target: HistoryTarget & { readonly kind: 'postgres' }) {
    this.#target = target;
  }

  async open(): Promise<HistoryPlace> {
    await this.close();
    const { schema } = this.#target;
    const session = await WriterSession.open({
      ...this.#target,
      connectionsMax: 1,
      lock: lockOf(schema),
      versionTable: HISTORY_VERSION_TABLE,
      migrations: POSTGRES_HISTORY_MIGRATIONS,
      table: PLACE,
      firstRow: FIRST_PLACE,
      adopts: (row) => isOfBefore(row, this.#target),
      taken,
      foreign: this.#target.isShared ? foreignToCluster : foreign,
    });
    this.#session = session;
    // What is committed is not kept in the log any more: it has to be on the disk.
    await session.client.query(
      "SELECT set_config('synchronous_commit', 'local', false) WHERE current_setting('synchronous_commit') = 'off'",
    );
    const { seq, pruned_to } = session.row;
    return { seq: Number(seq), prunedToMs: Number(pruned_to) };
  }

  find(ids: readonly string[]): Promise<readonly HistoryRow[]> {
    return findProducts(this.#opened.client, ids);
  }

  findListed(afterNo: number, count: number): Promise<readonly HistoryRow[]> {
    return findListedProducts(this.#opened.client, afterNo, count);
  }

  async write(changes: Iterable<ProductChange>, place: HistoryPlace): Promise<void> {
    const { client } = this.#opened;
    const products = [...changes];
    await inTransaction(client, async () => {
      await this.#move(place);
      await writeProducts(client, products);
      await writeRuns(client, products.flatMap(writingsOf));
    });
    this.#beatMs = performance.now();
  }

  /** Moves the place; rejects with HistoryTakenError if another instance has come meanwhile. */
  async #move({ seq, prunedToMs }: Partial<HistoryPlace>): Promise<void> {
    const { client, epoch } = this.#opened;
    const { rowCount } = await client.query(
      `UPDATE ${PLACE} SET seq = coalesce($1, seq), pruned_to = greatest(pruned_to, $2) WHERE epoch = $3`,
      [seq ?? null, prunedToMs, epoch],
    );
    if (rowCount !== 1) throw taken();
  }

  /** A commit is flushed. */
  async flush(): Promise<boolean> {
    return true;
  }

  prune(horizonMs: number, afterNo: number): Promise<number | undefined> {
    const { client } = this.#opened;
    return inTransaction(client, async () => {
      await this.#move({ prunedToMs: horizonMs });
      return pruneStep(client, horizonMs, afterNo);
    });
  }

  /** The database outlives the data folder, which may be an old copy of itself: somebody has to say so. */
  async clear(reason: string): Promise<void> {
    // Another instance is to have it, or this one a moment later.
    if (this.#target.isShared) throw new HistoryTakenError(reason);
    throw new HistoryForeignError(`${reason}; see docs/history.md`);
  }

  async beat(): Promise<void> {
    if (performance.now() - this.#beatMs < BEAT_MS) return;
    await this.#opened.beat();
    this.#beatMs = performance.now();
  }

  async close(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.close();
  }

  get #opened(): WriterSession {
    if (this.#session === undefined) throw new Error('there is no connection');
    return this.#session;
  }
}

/** Called once the product has its number. */
function writingsOf({ no, fields }: ProductChange): FieldWriting[] {
  return FIELD_NUMBERS.filter((number) => fields[number].marks.length > 0).map((number) => ({
    product: no,
    number,
    field: fields[number],
  }));
}
