/**
 * One file of the simulated disk: its bytes as programs read them, its bytes on the platter, and
 * the writes in between. A write that was never flushed may be lost, be there, end at any byte,
 * be there in some of its 512-byte sectors, or only as a longer file full of zeros. Tests only.
 */
import type { Random } from '../helpers/models/random.ts';

const SECTOR_BYTES = 512;

type Change =
  | { readonly kind: 'write'; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly length: number };

export class FileNode {
  cached: Buffer = Buffer.alloc(0);
  #durable: Buffer = Buffer.alloc(0);
  #dirty: Change[] = [];

  /** Bytes that a power loss could take back; for the disk's own tests. */
  get isDirty(): boolean {
    return this.#dirty.length > 0;
  }

  /** Keeps `bytes`: they must not change any more. */
  write(at: number, bytes: Uint8Array): void {
    this.#change({ kind: 'write', at, bytes });
  }

  truncate(length: number): void {
    this.#change({ kind: 'truncate', length });
  }

  sync(): void {
    for (const change of this.#dirty) this.#durable = applied(this.#durable, change);
    this.#dirty = [];
  }

  /**
   * The flush fails: what of it reached the platter is chance, and the kernel forgets that the rest
   * did not. It can still be read until it is evicted, which may be at once.
   */
  failSync(random: Random): void {
    const kept = random.pick([0, 0.5, 1]);
    this.#flushSome(random, kept);
    if (random.chance(0.3)) this.cached = Buffer.from(this.#durable);
  }

  powerLoss(random: Random, kept: number): void {
    this.#flushSome(random, kept);
    this.cached = Buffer.from(this.#durable);
  }

  copy(): FileNode {
    const copy = new FileNode();
    copy.cached = Buffer.from(this.cached);
    copy.#durable = Buffer.from(this.cached);
    return copy;
  }

  #change(change: Change): void {
    this.cached = applied(this.cached, change);
    this.#dirty.push(change);
  }

  #flushSome(random: Random, kept: number): void {
    for (const change of this.#dirty) {
      if (random.chance(kept)) this.#durable = applied(this.#durable, change);
      else if (change.kind === 'write') {
        for (const part of torn(change.at, change.bytes, random)) {
          this.#durable = applied(this.#durable, part);
        }
      }
    }
    this.#dirty = [];
  }
}

/** What is left of a write that did not wholly make it. */
function torn(at: number, bytes: Uint8Array, random: Random): Change[] {
  switch (random.below(5)) {
    case 0:
      return [{ kind: 'write', at, bytes: bytes.subarray(0, random.below(bytes.length + 1)) }];
    case 1:
      // The file's new size made it, its bytes did not: zeros where there was nothing before.
      return [{ kind: 'write', at: at + bytes.length, bytes: bytes.subarray(0, 0) }];
    case 2:
      return sectors(at, bytes).filter(() => random.chance(0.5));
    default:
      return [];
  }
}

function sectors(at: number, bytes: Uint8Array): Change[] {
  const parts: Change[] = [];
  for (let from = at; from < at + bytes.length; ) {
    const to = Math.min(at + bytes.length, from - (from % SECTOR_BYTES) + SECTOR_BYTES);
    parts.push({ kind: 'write', at: from, bytes: bytes.subarray(from - at, to - at) });
    from = to;
  }
  return parts;
}

function applied(content: Buffer, change: Change): Buffer {
  const end = change.kind === 'write' ? change.at + change.bytes.length : change.length;
  let result = content;
  if (end > content.length) {
    result = Buffer.alloc(end);
    result.set(content);
  }
  if (change.kind === 'write') {
    result.set(change.bytes, change.at);
    return result;
  }
  return Buffer.from(result.subarray(0, change.length));
}
