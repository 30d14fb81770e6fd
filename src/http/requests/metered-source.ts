/**
 * The body of a batch whose events count for a limit: what was read of it is charged to its client before
 * more is read. Main thread.
 *
 * A batch that is taken whole is of bounded length: it is read at once, and what it has beyond its
 * client's quota is owed, so that the next one waits. A stream may have any length: once its client
 * owes, it is read no further until that is paid, and TCP slows its sender down. What would take longer
 * than the client is expected to wait ends the stream instead, as far as it has come.
 */
import type { ByteSource } from '../../bulk/byte-source.ts';
import { BodyRefused } from '../../errors/body-refused.ts';
import type { ClientKey } from '../../limits/client-key.ts';
import type { RateTable } from '../../limits/rate-table.ts';

/** How often a stream that owes looks whether it has paid. */
const LOOK_MS = 20;

const OWES = 'The stream has more events than its client may have in this time.';

export interface Meter {
  readonly table: RateTable;
  readonly key: ClientKey;
}

/** A source that can wait for its client's sake. */
export interface PausableSource extends ByteSource {
  /** Lets up to `ms` pass; resolves to false if nothing more will come. */
  pause(ms: number): Promise<boolean>;
}

export interface MeteredSourceOptions {
  readonly source: PausableSource;
  readonly meter: Meter;
  readonly isStream: boolean;
  /** The longest that a stream waits; one that owes more ends. */
  readonly patienceMs: number;
  /** Events of the batch that were read so far. */
  readonly events: () => number;
  /** Whether nobody waits for the batch any more; asked while it waits. */
  readonly isOver: () => boolean;
}

export class MeteredSource implements ByteSource {
  readonly #options: MeteredSourceOptions;
  /** The first was paid when the request was let in. */
  #charged = 1;

  constructor(options: MeteredSourceOptions) {
    this.#options = options;
  }

  async next(): Promise<Uint8Array | undefined> {
    const { source, isStream } = this.#options;
    if (this.settle() && isStream) await this.#paid();
    return source.next();
  }

  /** Charges what was read since the last time; returns whether that was something. */
  settle(): boolean {
    const { meter, events } = this.#options;
    const count = events() - this.#charged;
    if (count <= 0) return false;
    this.#charged += count;
    meter.table.charge(meter.key, count);
    return true;
  }

  async #paid(): Promise<void> {
    const { source, meter, patienceMs, isOver } = this.#options;
    const { table, key } = meter;
    while (!table.has(key) && !isOver()) {
      const { secondsToOne } = table;
      if (secondsToOne * 1000 > patienceMs)
        throw new BodyRefused('rate-limited', OWES, secondsToOne);
      if (!(await source.pause(LOOK_MS))) return;
    }
  }
}
