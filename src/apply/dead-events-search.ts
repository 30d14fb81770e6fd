/**
 * Finds the dead events of one batch, while the batch is still coming. It
 * keeps only seqs that are not yet applied, each once, as ranges: about as many as the commit ring
 * holds at the most. Main thread.
 */
export const DEAD_LISTED_MAX = 100;

/** Ranges noted between two looks. */
const LOOK_EVERY = 4096;

/**
 * Seqs of the dead among the applied events `from` to `to`. Asked of each event once,
 * however long after it was applied.
 */
export type DeadIn = (from: number, to: number) => Iterable<number>;

interface SeqRange {
  from: number;
  to: number;
}

export class DeadEventsSearch {
  /** Seqs of the first events found. */
  readonly listed: number[] = [];
  readonly #watermark: { readonly seq: number };
  readonly #dead: DeadIn;
  #pending: SeqRange[] = [];
  #notedSinceLook = 0;

  constructor(watermark: { readonly seq: number }, dead: DeadIn) {
    this.#watermark = watermark;
    this.#dead = dead;
  }

  /** The events with the seqs `from` to `to`, durable, are of the batch. */
  note(from: number, to: number): void {
    const last = this.#pending.at(-1);
    if (last !== undefined && last.to + 1 === from) last.to = to;
    else this.#pending.push({ from, to });
    if (++this.#notedSinceLook >= LOOK_EVERY) this.look();
  }

  /** Asks about all noted events that are applied by now. */
  look(): void {
    this.#notedSinceLook = 0;
    const appliedSeq = this.#watermark.seq;
    const left = this.#pending.filter((range) => {
      const { from } = range;
      const to = Math.min(range.to, appliedSeq);
      if (from <= to) for (const seq of this.#dead(from, to)) this.#found(seq);
      range.from = Math.max(from, to + 1);
      return range.from <= range.to;
    });
    this.#pending = merged(left);
  }

  /** An event that is in the batch twice has one seq. */
  #found(seq: number): void {
    if (this.listed.length < DEAD_LISTED_MAX && !this.listed.includes(seq)) {
      this.listed.push(seq);
    }
  }
}

/** The same seqs in ascending order, each once: an event may be repeated before it is applied. */
function merged(ranges: SeqRange[]): SeqRange[] {
  ranges.sort((a, b) => a.from - b.from);
  const result: SeqRange[] = [];
  for (const range of ranges) {
    const last = result.at(-1);
    if (last !== undefined && range.from <= last.to + 1) last.to = Math.max(last.to, range.to);
    else result.push(range);
  }
  return result;
}
