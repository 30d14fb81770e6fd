/**
 * What a sink's thread counts, in shared memory: the main thread reads it for metrics and health.
 *
 *   i64 × FIELDS.length, each at its index in FIELDS; the sink's thread writes, once a batch. Counts go on
 *   when the thread is replaced. Times are ms since 1970, 0 = never.
 */

const FIELDS = [
  /** Index in SINK_STATES. */
  'state',
  /** All states up to this seq are in the sink. */
  'position',
  /** The sink shows the store as it was then, or later. */
  'caughtUpMs',
  /** When its database last answered as it should; of a start, when that was. */
  'reachedMs',
  /** Transactions that were committed. */
  'batches',
  /** Rows that were sent, and those of them that were newer than what stood. */
  'rowsSent',
  'rowsWritten',
  /** Attempts that failed, by what is done about it. */
  'failedRetryable',
  'failedSystem',
  'failedNotRetryable',
  'failedValidation',
  /** Attempts after the first. */
  'retries',
  /** Index in BREAKER_STATES, and how often it opened. */
  'breaker',
  'breakerOpened',
  /** Rows that went to the dead letters. */
  'deadLetters',
  /** How long the transactions took together, µs. */
  'busyMicros',
] as const;

export type SinkStat = (typeof FIELDS)[number];

/**
 * - `comparing`: it looks through its rows for products that were forgotten while it was away.
 * - `connecting`: it has no connection yet, or lost it.
 * - `following`: it writes what changes.
 * - `standby`: another instance writes to this sink.
 * - `foreign`: it has the products of another data folder; nothing is written.
 * - `blocked`: the dead letters are full; nothing is written.
 * - `stopped`: it ended.
 */
export const SINK_STATES = [
  'connecting',
  'comparing',
  'following',
  'standby',
  'foreign',
  'blocked',
  'stopped',
] as const;
export type SinkState = (typeof SINK_STATES)[number];

export const BREAKER_STATES = ['closed', 'half-open', 'open'] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

export class SinkStats {
  readonly #words: BigInt64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new BigInt64Array(buffer);
  }

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(FIELDS.length * 8);
  }

  get(stat: SinkStat): number {
    return Number(Atomics.load(this.#words, FIELDS.indexOf(stat)));
  }

  /** The sink's thread. */
  set(stat: SinkStat, value: number): void {
    Atomics.store(this.#words, FIELDS.indexOf(stat), BigInt(Math.floor(value)));
  }

  /** The sink's thread. */
  add(stat: SinkStat, value: number): void {
    this.set(stat, this.get(stat) + value);
  }

  get state(): SinkState {
    return SINK_STATES[this.get('state')] ?? 'connecting';
  }

  set state(state: SinkState) {
    this.set('state', SINK_STATES.indexOf(state));
  }

  get breaker(): BreakerState {
    return BREAKER_STATES[this.get('breaker')] ?? 'closed';
  }

  set breaker(state: BreakerState) {
    if (state === 'open' && this.breaker !== 'open') this.add('breakerOpened', 1);
    this.set('breaker', BREAKER_STATES.indexOf(state));
  }
}
