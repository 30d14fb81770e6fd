/**
 * The generation that a data folder begins, as the folder knows it: `next-generation.json` is there from before the new
 * stream gets its first message until the folder has read that, and no instance starts meanwhile. Main thread.
 *
 *  1. `begin` writes down where the folder ends, with a nonce: whole, or not at all. While the folder ends there, the
 *     nonce stays: the first message that a command before this one has sent may still come, and must be known then.
 *  2. `finish` replaces what the folder knows of the stream, in all places, then `cluster.json`. Only when that can't be
 *     lost any more the file of 1 goes. Cut off anywhere, it is done again from the beginning.
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { type FileSystem, readFully } from '../log/file-system.ts';
import { replaceFile } from '../log/replaced-file.ts';
import type { Base, Genesis } from '../replication/cluster-settings.ts';
import { NEXT_FILE } from '../replication/folder-names.ts';
import { keepGenesis } from '../replication/kept-genesis.ts';
import { headerCrc } from '../replication/message.ts';
import { REPLICA_FILES, ReplicaFile } from '../replication/replica-file.ts';

export class NextGeneration {
  readonly #files: FileSystem;
  readonly #root: string;

  /** For the data folder `root`, which exists. */
  constructor(files: FileSystem, root: string) {
    this.#files = files;
    this.#root = root;
  }

  /** What was begun and is not finished; `undefined` = nothing is. */
  get pending(): Base | undefined {
    if (!this.#files.list(this.#root).includes(NEXT_FILE)) return undefined;
    const file = this.#files.openForReading(join(this.#root, NEXT_FILE));
    try {
      const bytes = Buffer.alloc(this.#files.size(file));
      readFully(this.#files, file, bytes, 0, bytes.length, 0);
      return JSON.parse(bytes.toString()) as Base;
    } finally {
      this.#files.close(file);
    }
  }

  /** Begins with a folder that ends with `seq` and `chain`; returns what the first message has to say of that. */
  begin({ seq, chain }: Pick<Base, 'seq' | 'chain'>): Base {
    const before = this.pending;
    const isSame = before?.seq === seq && before.chain === chain;
    const base: Base = {
      seq,
      chain,
      nonce: isSame ? before.nonce : randomBytes(16).toString('hex'),
    };
    replaceFile(this.#files, this.#root, NEXT_FILE, Buffer.from(JSON.stringify(base)));
    return base;
  }

  /** The folder has read `first`, which is the first message of the new stream and says `genesis`. */
  finish(name: string, genesis: Genesis, first: Uint8Array): void {
    const { seq, chain } = genesis.base as Base;
    const replica = new ReplicaFile(this.#files, this.#root);
    const crc = headerCrc(first);
    const record = { position: 1, crc, nextSeq: seq + 1, chain, writers: [], cluster: genesis.id };
    // In all places: none of the old stream may be found.
    for (const _ of REPLICA_FILES) replica.store(record);
    keepGenesis(this.#files, this.#root, name, genesis);
    this.end();
  }

  /** Whether what was begun is what the folder is of by now: only the file is left. */
  isDone({ base }: Genesis): boolean {
    const { pending } = this;
    return pending !== undefined && pending.nonce === base?.nonce;
  }

  /** All of it is done. */
  end(): void {
    this.#files.remove(join(this.#root, NEXT_FILE));
    this.#files.syncFolder(this.#root);
  }
}
