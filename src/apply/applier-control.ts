/**
 * The control block of one applier, 256 bytes of shared memory: what its supervisor and its
 * successor need to know if it dies.
 *
 *   byte   0  applying  i32  1 while a slot is being applied, 0 between slots; the applier writes
 *          4  cursor    i32  which slot that is; the applier writes, before `applying`
 *          8  skip      i32  1 = skip the slot at `skip cursor`: its event is dead; the main thread writes while
 *                            no applier runs, its successor clears it
 *         12  skip cursor i32
 *        128  undo record, 128 bytes (store/shard-writer.ts)
 */
import assert from 'node:assert/strict';
import { UNDO_BYTES } from '../store/shard-writer.ts';

const UNDO_BYTE = 128;
export const APPLIER_CONTROL_BYTES = UNDO_BYTE + UNDO_BYTES;
const APPLYING = 0;
const CURSOR = 1;
const SKIP = 2;
const SKIP_CURSOR = 3;

assert.equal(APPLIER_CONTROL_BYTES, 256);

export class ApplierControl {
  readonly undo: Int32Array;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, UNDO_BYTE / 4);
    this.undo = new Int32Array(buffer, UNDO_BYTE, UNDO_BYTES / 4);
  }

  /** Applier: the slot at `cursor` is next. */
  begin(cursor: number): void {
    this.#words[CURSOR] = cursor;
    this.#words[APPLYING] = 1;
  }

  /** Applier, at its start from `cursor`: between slots, and orders for slots before it are done. */
  resume(cursor: number): void {
    this.end();
    if (((this.#words[SKIP_CURSOR] - cursor) | 0) < 0) this.skipped();
  }

  /** Applier, or its supervisor while none runs: between slots. */
  end(): void {
    this.#words[APPLYING] = 0;
  }

  /** Supervisor, after a death: the cursor of the slot the applier died on, if it was on one. */
  diedOn(): number | undefined {
    return Atomics.load(this.#words, APPLYING) === 1
      ? Atomics.load(this.#words, CURSOR)
      : undefined;
  }

  /** Supervisor: the successor shall skip the slot at `cursor`; its event is dead. */
  orderSkip(cursor: number): void {
    this.#words[SKIP_CURSOR] = cursor;
    Atomics.store(this.#words, SKIP, 1);
  }

  /** Applier: whether to skip the slot at `cursor`. */
  skips(cursor: number): boolean {
    return this.#words[SKIP] === 1 && this.#words[SKIP_CURSOR] === cursor;
  }

  /** Applier: the order was carried out. */
  skipped(): void {
    Atomics.store(this.#words, SKIP, 0);
  }
}
