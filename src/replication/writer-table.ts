/**
 * Who may write to the stream, and which frame of each comes next: the same on every instance, because it
 * is made of the stream's messages alone. Log thread; pure.
 *
 * A writer is the position of its OPEN. Its frames count up from 1; the one that counts next is taken and
 * every other one is void: repeated, or behind a lost one. So a writer that does not know whether a frame
 * was stored sends it again. A writer that another OPEN supersedes is void for ever, and so is one that had
 * to make room: a place in the stream can't be used a second time.
 */

/** Writers that are known: more instances than a cluster has, with many restarts each. */
export const WRITERS_MAX = 1024;

interface Writer {
  /** Number of its next frame. */
  next: number;
  /** Position of what was last taken from it. */
  last: number;
}

/** One writer, as plain numbers: its position, its next frame, its last position. */
export type WriterRecord = readonly [writer: number, next: number, last: number];

export class WriterTable {
  readonly #writers = new Map<number, Writer>();
  readonly #max: number;

  constructor(records: readonly WriterRecord[] = [], max = WRITERS_MAX) {
    this.#max = max;
    for (const [writer, next, last] of records) this.#writers.set(writer, { next, last });
  }

  get records(): WriterRecord[] {
    return [...this.#writers].map(([writer, { next, last }]) => [writer, next, last]);
  }

  has(writer: number): boolean {
    return this.#writers.has(writer);
  }

  /** The number of the writer's next frame; 0 = it is void. */
  nextOf(writer: number): number {
    return this.#writers.get(writer)?.next ?? 0;
  }

  /** Takes an OPEN. */
  open(position: number, supersedes: number): void {
    this.#writers.delete(supersedes);
    if (this.#writers.size >= this.#max) this.#evict();
    this.#writers.set(position, { next: 1, last: position });
  }

  /** Takes the frame `n` of `writer`; false = it is void. */
  take(writer: number, n: number, position: number): boolean {
    const known = this.#writers.get(writer);
    if (known === undefined || known.next !== n) return false;
    known.next++;
    known.last = position;
    return true;
  }

  /** Forgets the one that has been silent for longest. */
  #evict(): void {
    let oldest = Number.POSITIVE_INFINITY;
    let writer = 0;
    for (const [position, { last }] of this.#writers) {
      if (last < oldest) {
        oldest = last;
        writer = position;
      }
    }
    this.#writers.delete(writer);
  }
}
