/**
 * Who restores which shard at a start: the log thread says what there is to do, and does it together
 * with those appliers that are up by then. In shared memory.
 *
 *   byte  0  phase  i32  0 = not begun · 1 open · 2 closed; the log thread writes
 *         4  bell   i32  rung when a shard is settled or given back
 *         8  claims i32  for each shard: 0 = nothing to do · 1 to do · 2 to do again · 3 done ·
 *                        4 failed · 16 + n claimed by applier n · 15 by the log thread
 *         …  seqs   f64  for each shard: which part; the log thread writes, before it opens
 *
 * The story of one shard:
 *  1. The log thread writes the seqs and claims, then opens. Whoever sees it open sees all of them.
 *  2. A thread claims a shard by compare-and-exchange, so that one of them has it. It fills the shard's
 *     memory, and stores `done`, or clears the memory and stores `failed`, with an Atomics.store that
 *     pairs with the log thread's Atomics.load: then all of the memory is there for that one, and
 *     through COMMIT_HEAD for the owner (shard-restorer.ts).
 *  3. An applier dies while it has a shard. Its successor gives the shard back before anything else, as
 *     one to do again; who claims that clears the memory first, because nobody knows what is in it. If
 *     there is no successor the process stops, and so does the log thread's wait.
 *  4. The log thread waits until every shard is settled, and closes. An applier that starts later, or
 *     finds nothing left to claim, goes on to its ring.
 *  5. The log thread dies: it did not serve yet, so the process ends.
 */
const PHASE = 0;
const BELL = 1;
const CLAIMS = 2;

const OPEN = 1;
const CLOSED = 2;

const NOTHING = 0;
const TO_DO = 1;
const TO_DO_AGAIN = 2;
const DONE = 3;
const FAILED = 4;
const CLAIMED_BY_LOG = 15;
const CLAIMED_BY_APPLIER = 16;

/** How soon a wait sees that it is to be given up. */
const LOOK_EVERY_MS = 50;

export interface ClaimedShard {
  readonly shard: number;
  /** Replay seq of the part to restore. */
  readonly replayFrom: number;
  /** Whether something may be in its memory. */
  readonly isDirty: boolean;
}

export class RestoreBoard {
  readonly #words: Int32Array;
  readonly #seqs: Float64Array;
  readonly #shards: number;

  /** Views a board made by `create`, in any thread. */
  constructor(buffer: SharedArrayBuffer) {
    this.#shards = (buffer.byteLength - CLAIMS * 4) / 12;
    this.#words = new Int32Array(buffer);
    // Behind the claims, at a multiple of 8: there is an even number of words before it.
    this.#seqs = new Float64Array(buffer, buffer.byteLength - this.#shards * 8, this.#shards);
  }

  static create(shards: number): SharedArrayBuffer {
    return new SharedArrayBuffer(RestoreBoard.bytes(shards));
  }

  /** What `create` allocates. */
  static bytes(shards: number): number {
    const even = shards + (shards & 1);
    return CLAIMS * 4 + even * 12;
  }

  /** Whether there may be something to help with. */
  get isOpen(): boolean {
    return Atomics.load(this.#words, PHASE) === OPEN;
  }

  /** Log thread: the part of each shard with the seq in `replayFrom` is to be restored; 0 = none. */
  open(replayFrom: readonly number[]): void {
    for (const [shard, seq] of replayFrom.entries()) {
      this.#seqs[shard] = seq;
      this.#words[CLAIMS + shard] = seq === 0 ? NOTHING : TO_DO;
    }
    Atomics.store(this.#words, PHASE, OPEN);
  }

  /** Claims a shard that is to be done, for applier `index`, or without one for the log thread. */
  claim(index?: number): ClaimedShard | undefined {
    const mine = index === undefined ? CLAIMED_BY_LOG : CLAIMED_BY_APPLIER + index;
    for (let shard = 0; shard < this.#shards; shard++) {
      for (const open of [TO_DO, TO_DO_AGAIN]) {
        const was = Atomics.compareExchange(this.#words, CLAIMS + shard, open, mine);
        if (was !== open) continue;
        const isDirty = open === TO_DO_AGAIN;
        return { shard, replayFrom: this.#seqs[shard], isDirty };
      }
    }
    return undefined;
  }

  /** The shard that was claimed is restored, or its part is damaged and its memory empty. */
  settle(shard: number, isDone: boolean): void {
    Atomics.store(this.#words, CLAIMS + shard, isDone ? DONE : FAILED);
    this.#ring();
  }

  /** Applier `index`, at its start: gives back what its predecessor had claimed. */
  giveBack(index: number): void {
    for (let shard = 0; shard < this.#shards; shard++) {
      const claimed = CLAIMED_BY_APPLIER + index;
      Atomics.compareExchange(this.#words, CLAIMS + shard, claimed, TO_DO_AGAIN);
    }
    this.#ring();
  }

  /** Log thread: whether every shard is settled; if not, after a wait, `claim` may find one. */
  isSettled(): boolean {
    const bell = Atomics.load(this.#words, BELL);
    const isOpen = (claim: number) => claim !== NOTHING && claim !== DONE && claim !== FAILED;
    let isSettled = true;
    for (let shard = 0; shard < this.#shards; shard++) {
      if (isOpen(Atomics.load(this.#words, CLAIMS + shard))) isSettled = false;
    }
    if (!isSettled) Atomics.wait(this.#words, BELL, bell, LOOK_EVERY_MS);
    return isSettled;
  }

  /** Log thread: whether the part of this shard lies in it. */
  isDone(shard: number): boolean {
    return Atomics.load(this.#words, CLAIMS + shard) === DONE;
  }

  /** Log thread: nobody claims anything any more. */
  close(): void {
    Atomics.store(this.#words, PHASE, CLOSED);
  }

  #ring(): void {
    Atomics.add(this.#words, BELL, 1);
    Atomics.notify(this.#words, BELL);
  }
}
