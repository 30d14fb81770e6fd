/**
 * What an instance knows of the stream, kept over restarts beside its local log: two files, replaced in
 * turns, so that one is there that is not ahead of the log. Neither has to be the newest: what lies behind is
 * found again by reading the stream from there. Log thread.
 *
 * Each is written beside its place, flushed, and renamed: whoever has opened one, a backup or another
 * instance that joins, reads a whole record, and the one of that moment.
 *
 *   replica-0.json, replica-1.json:  {"crc": …, "record": {…}}    CRC-32 of the record's JSON
 */
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { type FileSystem, readFully } from '../log/file-system.ts';
import { replaceFile } from '../log/replaced-file.ts';
import { EMPTY_REPLICA, type ReplicaRecord } from './replica-state.ts';

/** In the data folder. */
export const REPLICA_FILES = ['replica-0.json', 'replica-1.json'] as const;

const NAMES = REPLICA_FILES;

export class ReplicaFile {
  readonly #files: FileSystem;
  readonly #folder: string;
  #next = 0;

  /** In `folder`, which exists. */
  constructor(files: FileSystem, folder: string) {
    this.#files = files;
    this.#folder = folder;
  }

  /**
   * The newest record that is not ahead of the local log, whose next event is `nextSeq`; the empty one
   * where there is none, which is right for a log that was read from the stream's beginning.
   */
  load(nextSeq: number): ReplicaRecord {
    const found = NAMES.map((name) => this.#read(name));
    const newest = found
      .filter((record) => record !== undefined)
      .filter((record) => record.nextSeq <= nextSeq)
      .reduce((a, b) => (b.position > a.position ? b : a), EMPTY_REPLICA);
    this.#next = found.indexOf(newest) === 0 ? 1 : 0;
    return newest;
  }

  /** Keeps the record. Throws what the file system throws; the one before is still there then. */
  store(record: ReplicaRecord): void {
    const text = JSON.stringify(record);
    const bytes = Buffer.from(`{"crc":${crc32(text)},"record":${text}}\n`);
    replaceFile(this.#files, this.#folder, NAMES[this.#next] ?? NAMES[0], bytes);
    this.#next = 1 - this.#next;
  }

  #read(name: string): ReplicaRecord | undefined {
    if (!this.#files.list(this.#folder).includes(name)) return undefined;
    const file = this.#files.openForReading(join(this.#folder, name));
    try {
      const bytes = Buffer.alloc(this.#files.size(file));
      readFully(this.#files, file, bytes, 0, bytes.length, 0);
      const { crc, record } = JSON.parse(bytes.toString()) as {
        readonly crc: number;
        readonly record: ReplicaRecord;
      };
      return crc32(JSON.stringify(record)) === crc ? record : undefined;
    } catch {
      return undefined;
    } finally {
      this.#files.close(file);
    }
  }
}
