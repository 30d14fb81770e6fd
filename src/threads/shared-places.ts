/**
 * Places that several threads take from one number, never more than there are: QUEUE_SIZE, HTTP_MAX_CONNECTIONS.
 * One of several tallies in a memory, with its limit. In the thread that the tallies are the view of.
 */
import { Tallies } from './tallies.ts';

export class SharedPlaces {
  readonly #tallies: Tallies;
  readonly #tally: number;
  readonly #limit: number;

  constructor(tallies: Tallies, tally: number, limit: number) {
    this.#tallies = tallies;
    this.#tally = tally;
    this.#limit = limit;
  }

  /** Those of a thread that shares them with no other. */
  static alone(limit: number): SharedPlaces {
    return new SharedPlaces(new Tallies(Tallies.create(1, 1), 1, 0), 0, limit);
  }

  /** What all threads have taken. */
  get taken(): number {
    return this.#tallies.total(this.#tally);
  }

  get areTaken(): boolean {
    return this.taken >= this.#limit;
  }

  /** Takes one; false if there is none. */
  take(): boolean {
    return this.#tallies.raise(this.#tally, 1, this.#limit) === 1;
  }

  give(count: number): void {
    this.#tallies.lower(this.#tally, count);
  }
}
